"""Gate D: business expectations before anything is published."""
