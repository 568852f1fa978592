"""An invented company: its rows in the OLTP database and its meter files in an inbox.

Everything here is deterministic and invented. Nothing here reads files or knows how they are ingested. The
totals in a `DemoScope` come from the arrays that the files were written from, so tests can check the
pipeline against them.
"""

from data.demo.apply import apply_company
from data.demo.company import Scale
from data.demo.generate import generate_files
from data.demo.history import generate_history
from data.demo.scope import DemoFile, DemoScope

__all__ = ["DemoFile", "DemoScope", "Scale", "apply_company", "generate_files", "generate_history"]
