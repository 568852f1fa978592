"""Stage raw: landing tables are loaded into the warehouse."""
