"""The command `myproperty`: one module for each group of commands, and how results are shown."""
