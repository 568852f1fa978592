"""The page of planted faults names every fault of the table, and no other."""

import re

from tests.soak.table import FAULTS
from tests.soak.trials import PAGE, write_cells

ROW = re.compile(r"^\| (?P<name>[^|]+) \| (?P<what>[^|]+) \| (?P<rule>[^|]*) \|", re.MULTILINE)


def test_the_page_lists_the_faults_of_the_table_in_their_order() -> None:
    rows = [row for row in ROW.findall(PAGE.read_text()) if row[0] != "Fault" and not row[0].startswith("-")]
    assert [tuple(cell.strip() for cell in row) for row in rows] == [write_cells(fault) for fault in FAULTS]


def test_every_fault_has_a_name_of_its_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
