"""Prompts of published benchmarks, from the user's own copies of them."""
