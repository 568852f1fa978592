"""Every rule has a case: a scenario of `tests/ingest/validation` that finds it, or a test that names it."""

import csv
import re
from pathlib import Path

from data.ingest.formats.reading import read_file
from data.ingest.rules.day_table import DAYS
from data.ingest.rules.table import RULES

TESTS = Path(__file__).resolve().parents[2]
SCENARIOS = TESTS / "ingest" / "validation" / "scenarios"
# Tested on frames only: scenarios have no place for the sun.
OF_VECTORS = {"VEE-SOLAR-NIGHT", "VEE-SOLAR-CLEAR"}


def found_by_scenarios() -> set[str]:
    """Return the rules of whole days that a scenario expects."""
    rows = [row for path in SCENARIOS.glob("*/then/issues.csv") for row in csv.DictReader(path.open())]
    return {row["rule"] for row in rows}


def named_by_tests() -> set[str]:
    """Return every rule id that a test names, except this module."""
    texts = [path.read_text() for path in TESTS.rglob("*.py") if path.name != Path(__file__).name]
    return {rule for text in texts for rule in re.findall(r"\b[A-Z]+[0-9]*(?:-[A-Z]+)+\b", text)}


def test_every_rule_of_whole_days_has_a_scenario() -> None:
    assert {rule.id for rule in DAYS} - found_by_scenarios() == OF_VECTORS


def test_every_rule_has_a_test_or_a_scenario() -> None:
    # The two tests below cover these.
    here = {"NEM12-RANGE", "VEE-OVERLAP"}
    assert set(RULES) - named_by_tests() - found_by_scenarios() == here


def test_a_400_record_that_exceeds_its_day_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    record = f"300,20240101,{','.join(['1'] * 24)},V,,,,"
    path.write_text(
        f"100,NEM12,202401021200,A,B\n200,N1,E1,1,E1,,,kWh,60,\n{record}\n400,1,25,A,,\n"
        f"{record.replace('0101', '0102').replace(',V,', ',A,')}\n900\n"
    )
    parsed = read_file(path)
    assert "NEM12-RANGE" in parsed.rejected["rule"].to_pylist()
    assert parsed.readings.num_rows == 24


def test_the_later_record_of_two_overlapping_intervals_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = ("2024-01-01T00:00:00Z,3600,4", "2024-01-01T00:30:00Z,1800,1")
    lines = [f"M1,E1,import,kWh,{row},actual,2024-01-02T00:00:00Z" for row in rows]
    header = "identifier,register,channel,unit,reading_ts,interval_seconds,value,quality,source_version"
    path.write_text("\n".join([header, *lines, ""]))
    parsed = read_file(path)
    assert parsed.readings["line"].to_pylist() == [3]
    assert [(row["line"], row["rule"]) for row in parsed.rejected.to_pylist()] == [(2, "VEE-OVERLAP")]
