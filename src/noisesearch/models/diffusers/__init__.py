"""Pipelines of diffusers in our own loop: sources, families, backbones."""
