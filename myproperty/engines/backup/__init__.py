"""Backups of the embedded PostgreSQL: archived WAL, base backups, restores to an instant."""
