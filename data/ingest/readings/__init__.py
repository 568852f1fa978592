"""The store of readings: files into readings, the ingestion ledger, quarantine, partitions, the inbox."""
