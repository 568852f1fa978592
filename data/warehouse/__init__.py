"""The dbt project of the warehouse, and the program that runs it on a parsed project (`preparsed`)."""
