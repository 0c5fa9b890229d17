"""Verifiers: named numbers for images."""
