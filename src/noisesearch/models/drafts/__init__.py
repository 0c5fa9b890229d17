"""Networks of drafts: skipped blocks, a first-block cache, adapters."""
