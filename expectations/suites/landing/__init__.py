"""Gate B: landing tables against their source."""
