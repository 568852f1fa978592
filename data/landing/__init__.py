"""The landing tables: a copy of the OLTP rows on their way to the warehouse, and the archive of readings."""
