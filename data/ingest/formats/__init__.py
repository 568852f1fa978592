"""Meter files to rows: one reader for each format, the registry of formats, and what the readers share."""
