"""Stage exports: the answers of the saved queries as files, where a folder for them is set."""
