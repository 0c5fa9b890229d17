"""SiT: sizes, network, checkpoints, denoiser."""
