"""Validation of whole reading dates: which are due, what is read, estimated and written."""
