"""The page about a run folder: what changed, by how much, at what cost, whether to trust it."""
