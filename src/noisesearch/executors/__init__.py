"""Executors of many workers: one pool, and crews of workers on local devices or on Ray."""
