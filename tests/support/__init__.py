"""What several folders of tests need: a service, tiny checkpoints, algorithms."""
