"""Stage backups: base backups of the embedded PostgreSQL, and their copies."""
