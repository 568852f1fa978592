"""The embedded engines: PostgreSQL and the BigQuery emulator, and where an environment finds them."""
