"""The rules of validation (VEE): pure functions from rows to verdicts."""
