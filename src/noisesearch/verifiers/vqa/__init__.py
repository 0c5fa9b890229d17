"""Verifiers that ask questions about a picture."""
