"""Stage history: which runs there were, and how they ended."""
