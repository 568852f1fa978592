"""The gates: checks between two stages of the pipeline, run by Great Expectations.

`suites` declares the rules of each table, `rules` the words that a declaration uses, `frames` reads the
rows that a suite checks, `gate` runs a suite over them, and `verdicts` stores the outcome.
"""
