"""Operational tables land in the staging schema."""
