"""The rules of validation (VEE): pure functions on columns, from readings to results."""
