"""The dbt project, and what is published of it."""
