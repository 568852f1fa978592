"""The rules of the gates, one package a stage and one module a table."""
