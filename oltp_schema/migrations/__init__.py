"""Revisions of the OLTP schema: forward only, and an applied file is never edited."""
