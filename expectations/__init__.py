"""The gates: Great Expectations suites, one module a table, and what turns a result into a verdict."""
