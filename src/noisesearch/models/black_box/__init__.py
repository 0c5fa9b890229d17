"""Any pipeline as a black box: its call, its draws, a trial, a sampler."""
