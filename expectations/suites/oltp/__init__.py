"""Gate A: tables of the OLTP database, before they leave it."""
