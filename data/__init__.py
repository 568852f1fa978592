"""Ingestion, the demo company and the dbt project."""
