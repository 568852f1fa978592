"""Stage warehouse: dbt builds the models, and reading dates are published."""
