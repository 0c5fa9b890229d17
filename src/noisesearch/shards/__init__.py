"""Large jobs: a file of prompts, searched shard by shard."""
