"""The gates: checks between two stages of the pipeline, run by Great Expectations.

`suites` declares the rules of each table, `rules` the words that a declaration uses, `frames` reads the
rows that a suite checks, `validation` validates them with Great Expectations, `gate` makes a verdict of the
results, and `verdicts` stores it.
"""
