"""Stage quality: figures of the data and of the runs, for nights that failed too."""
