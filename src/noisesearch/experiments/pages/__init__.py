"""The page about an experiment folder."""
