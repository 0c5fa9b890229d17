"""How good sets of images are: metrics of folders, benchmarks and their prompts."""
