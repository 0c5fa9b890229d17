"""Verifiers whose weights come in Python packages."""
