"""CLIP's verifiers: checkpoints, towers, scores."""
