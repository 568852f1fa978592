"""Proposals for tables one below the other: sections with their channels, and pages of one table."""

import datetime
import random
from decimal import Decimal
from pathlib import Path

import pytest

from data.ingest.formats.file_mappings import MappingError
from data.ingest.proposals import propose_mapping
from tests.formats.test_suggest_amounts import draw, propose, total

OPERATOR = "Zählpunkt,Kennzahl,Nr,x\nAT1,1-1:{}.9.0,,\nTime,kWh"


@pytest.mark.parametrize(
    ("heads", "end"),
    [
        (["Delivered to you\nTime,kWh", "\nReceived from you\nTime,kWh"], ""),
        (["Energy Delivered time period,Usage", "\nEnergy Received time period,Usage"], ""),
        ([OPERATOR.format(1), OPERATOR.format(2)], ""),
        (["Import\nTime,kWh,Status", "Export\nTime,kWh,Status"], ",A"),
    ],
)
def test_sections_are_proposed(tmp_path: Path, heads: list[str], end: str) -> None:
    tables = [draw("import"), draw("export")]
    lines = ["Account,1"]
    for head, values in zip(heads, tables, strict=True):
        lines.append(head)
        lines += [f"2024-03-01 {n // 4:02}:{n % 4 * 15:02},{value}{end}" for n, value in enumerate(values)]
    path, proposal = propose(tmp_path, "\n".join([*lines, ""]))
    assert "sections:" in proposal
    assert total(path, proposal) == {"import": sum(tables[0]), "export": sum(tables[1])}


def test_pages_are_no_sections(tmp_path: Path) -> None:
    lines, expected = [], Decimal(0)
    for page in range(1, 4):
        values = draw(str(page), 24)
        expected += sum(values)
        rows = (f"2024-03-{page + 12} {n:02}:00,{value}" for n, value in enumerate(values))
        lines += [f"Page {page}", "Time,kWh", *rows]
    path, proposal = propose(tmp_path, "\n".join([*lines, ""]))
    assert "sections:" not in proposal
    assert total(path, proposal) == {"import": expected}


def test_sections_without_a_direction_stay_open(tmp_path: Path) -> None:
    rows = [f"2024-03-01 {n:02}:00,{value}" for n, value in enumerate(draw("x", 24))]
    again = [row + "1" for row in rows]
    lines = ["First", "Time,kWh", *rows, "Second", "Time,kWh", *again, ""]
    path, proposal = propose(tmp_path, "\n".join(lines))
    assert '"First": ""' in proposal and '"Second": ""' in proposal
    with pytest.raises(MappingError, match="channel"):
        total(path, proposal)


@pytest.mark.parametrize("form", ["{day:%d/%m/%Y},Total,{total}", "Total {day:%d/%m/%Y},,{total}"])
def test_a_total_below_each_day_is_skipped(tmp_path: Path, form: str) -> None:
    """Its word stands in the place of the time, or before the date."""
    chance = random.Random(form)
    days: list[list[Decimal]] = [[Decimal(chance.randrange(900)) / 1000 for _ in range(24)] for _ in range(5)]
    lines = ["Date,Time,Usage (kWh)"]
    for number, values in enumerate(days, 4):
        day = datetime.date(2024, 4, number)
        lines += [f"{day:%d/%m/%Y},{hour:02}:00,{value}" for hour, value in enumerate(values)]
        lines.append(form.format(day=day, total=sum(values)))
    path = tmp_path / "export.csv"
    path.write_text("\n".join([*lines, ""]))
    proposal = propose_mapping(path, "Europe/London")
    assert 'ignore_rows: ["Total"' in proposal
    assert f" {sum(map(sum, days))} kWh, 120 intervals" in proposal
    assert "skipped: 5 rows" in proposal and "rejected" not in proposal and "NOT USABLE" not in proposal
