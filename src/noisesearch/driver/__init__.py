"""Many searches at once: one pool of asks, budgets, the clock and the journal."""
