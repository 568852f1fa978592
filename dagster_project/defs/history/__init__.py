"""Stage oltp: the operational tables that the pipeline starts from."""
