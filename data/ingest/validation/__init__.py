"""Validation of the reading dates that files touched: issues, and estimates for missing readings."""
