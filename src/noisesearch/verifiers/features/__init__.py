"""Networks that see images alone: classes, features, distances."""
