"""Meter files to marts as `make demo` runs it, held against the files as other libraries read them."""
