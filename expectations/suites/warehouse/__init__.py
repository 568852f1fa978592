"""Gate D: facts, seeds and candidates of marts, before anything is published."""
