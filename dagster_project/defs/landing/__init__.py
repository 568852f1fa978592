"""Stage landing: operational tables are copied to `warehouse_staging`."""
