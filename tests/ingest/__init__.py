"""Ingest: rules, loading of files, validation."""
