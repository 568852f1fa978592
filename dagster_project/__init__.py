"""Dagster: the assets of each stage, the gates between them, and the jobs that run them."""
