"""Search algorithms: generators that yield asks, are sent replies and return trajectories."""
