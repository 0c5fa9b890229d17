"""What BLIP's networks share, and ImageReward."""
