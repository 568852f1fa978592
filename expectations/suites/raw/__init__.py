"""Gate C: raw tables of the warehouse against landing."""
