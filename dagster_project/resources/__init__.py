"""The resources that assets ask for."""
