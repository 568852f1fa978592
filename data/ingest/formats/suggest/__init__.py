"""Propose a file mapping by the content of a file."""
