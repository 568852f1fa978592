"""An invented company: its rows in the OLTP database, and the files of its meters in an inbox.

Everything here is deterministic and made up. Nothing here reads files or knows how they are ingested:
the totals in a plan come from the arrays the files were written from, so a test can hold the pipeline
against them.
"""

from data.demo.apply import apply_company
from data.demo.company import Scale
from data.demo.generate import generate
from data.demo.history import history
from data.demo.plan import DemoPlan, PlannedFile

__all__ = ["DemoPlan", "PlannedFile", "Scale", "apply_company", "generate", "history"]
