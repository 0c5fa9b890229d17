"""A verifier in a process of its own."""
