"""Loading, landing and the raw layer."""
