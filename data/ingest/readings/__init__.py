"""Readings in the OLTP store: load files, the ingestion ledger, quarantine, partitions, the inbox."""
