"""The database roles that a transaction takes on; the migrations create them."""

# Loads meter files: sees all tenants, and may attach partitions of readings.
LOADER_ROLE = "myproperty_loader"
# Lands: reads all tenants, and writes `warehouse_staging`.
ETL_ROLE = "myproperty_etl"
