"""The worker: the one place where recipes become tensors."""
