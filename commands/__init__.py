"""The command `myproperty`: `main` assembles it from one module for each group of commands.

A command parses its options, calls one function of the layer that does the work, and shows the result with a
function of `views`. Heavy libraries are imported inside the commands, so that `--help` answers at once.
"""
