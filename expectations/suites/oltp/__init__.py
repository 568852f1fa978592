"""Gate A: readings in the OLTP database."""
