"""Processes, solver steps, the protocols of a denoiser and a sampler, images and pictures."""
