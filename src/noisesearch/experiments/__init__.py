"""Experiments: many prompts, many arms, one folder; and those of the paper."""
