"""Search over noise: better images from trained diffusion and flow models."""
