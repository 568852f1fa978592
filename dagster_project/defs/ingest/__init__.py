"""Stage ingest: meter files of the inbox become readings."""
