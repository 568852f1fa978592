"""The raw layer of the warehouse: its interface, its two engines, and the transfer from landing."""
