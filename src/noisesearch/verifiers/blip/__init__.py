"""BLIP's networks: question answering and ImageReward."""
