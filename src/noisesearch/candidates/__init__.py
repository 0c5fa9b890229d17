"""What is searched: conditions, noises, trajectories, asks, replies, prices and budgets."""
