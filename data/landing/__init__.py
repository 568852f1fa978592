"""The landing tables: one copy of the OLTP rows on their way to the warehouse."""
