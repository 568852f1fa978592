"""Landing tables are loaded into the warehouse."""
