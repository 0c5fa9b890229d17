"""Models: what the user's weights look like to a search."""
