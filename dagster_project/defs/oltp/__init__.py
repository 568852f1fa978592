"""The operational tables that the pipeline starts from."""
