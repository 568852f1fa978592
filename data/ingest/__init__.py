"""Meter files to readings, landing tables and the raw layer of the warehouse."""
