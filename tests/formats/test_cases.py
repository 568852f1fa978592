"""Small files in the shapes of real exports, next to the checkout: each gives its total, or an honest no."""

import datetime
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import parse_mapping
from data.ingest.formats.reading import read_file
from data.ingest.schema import ParsedFile


def find_case(samples: Path, name: str) -> Path:
    """Return the input of a case by its name, without the number before it; skip if it is absent."""
    found = sorted(samples.glob(f"cases/*-{name}/input.*"))
    if not found:
        pytest.skip(f"there is no case {name}")
    return found[0]


def sum_series(parsed: ParsedFile) -> dict[tuple[str, str], Decimal]:
    """Return the total of each identifier and register."""
    totals: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in parsed.readings.to_pylist():
        totals[row["identifier"], row["register"]] += row["value"] or 0
    return dict(totals)


def list_times(parsed: ParsedFile) -> tuple[str, str]:
    """Return the first and the last start of an interval."""
    starts = parsed.readings["reading_ts"].to_pylist()
    return tuple(f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (min(starts), max(starts)))  # type: ignore[return-value]


def test_nem12_of_a_portal_is_read_if_a_person_says_so(samples: Path) -> None:
    path = find_case(samples, "nem12-of-a-portal-without-100-and-900")
    with pytest.raises(RefusedFile, match="incomplete: read"):
        read_file(path)
    parsed = read_file(path, mapping=parse_mapping({"format": "nem12", "incomplete": "read"}, "portal"))
    assert sum_series(parsed) == {
        ("2001000001", "E1"): Decimal("8.065"),
        ("2001000001", "B1"): Decimal("5.778"),
    }
    assert parsed.readings.num_rows == 576
    assert list_times(parsed) == ("2023-10-18T14:00:00Z", "2023-10-19T13:55:00Z")


def test_nem12_values_below_the_header_of_another_length_are_refused(samples: Path) -> None:
    with pytest.raises(RefusedFile, match="288 values, 96 expected") as refusal:
        read_file(find_case(samples, "nem12-15-min-header-5-min-values"))
    assert (refusal.value.line, refusal.value.rule) == (3, "FILE-NOTHING-LEFT")


def test_nem12_values_without_a_quality_are_counted(samples: Path) -> None:
    parsed = read_file(find_case(samples, "nem12-v-half-covered"))
    assert sum_series(parsed) == {("2001000013", "E1"): Decimal("2.263")}
    kept_out = parsed.rejected.to_pylist()
    assert Counter(row["rule"] for row in kept_out) == {"NEM12-UNCOVERED": 48}
    assert sum(row["value"] for row in kept_out) == Decimal("2.198")


def test_nem13_whose_quantity_contradicts_its_reads_is_quarantined(samples: Path) -> None:
    parsed = read_file(find_case(samples, "nem13-quantity-against-reads"))
    assert sum_series(parsed) == {("2001000011", "11"): Decimal(250)}
    assert [(row["line"], row["rule"]) for row in parsed.rejected.to_pylist()] == [(2, "NEM13-QUANTITY")]


def test_the_cost_of_a_green_button_reading_has_a_scale_of_its_own(samples: Path) -> None:
    parsed = read_file(find_case(samples, "espi-cost-with-its-own-scale"))
    (total,) = sum_series(parsed).values()
    assert (total, parsed.readings.num_rows) == (Decimal("27751.818"), 24)
    assert set(parsed.readings["unit"].to_pylist()) == {"Wh"}
    assert list_times(parsed) == ("2025-01-15T05:00:00Z", "2025-01-16T04:00:00Z")


def test_a_workbook_with_dates_as_text_is_read_by_a_mapping(samples: Path) -> None:
    declared = {
        "format": "mapped_csv",
        "timezone": "Europe/Paris",
        "interval_minutes": 30,
        "identifier": "Home",
        "label": "start",
        "timestamp_format": "%d/%m/%Y %H:%M:%S",
        "columns": {"timestamp": "D\u00e9but"},
        "values": [{"column": "Valeur (en kWh)", "channel": "import", "unit": "kWh"}],
    }
    path = find_case(samples, "workbook-text-dates")
    parsed = read_file(path, mapping=parse_mapping(declared, "workbook.yaml"))
    assert sum_series(parsed) == {("Home", "Valeur (en kWh)"): Decimal("22.014")}
    assert parsed.readings.num_rows == 48
    assert list_times(parsed) == ("2023-03-01T23:00:00Z", "2023-03-02T22:30:00Z")


def test_nem12_inside_a_message_is_read(samples: Path) -> None:
    parsed = read_file(find_case(samples, "asexml-nem12"))
    assert sum_series(parsed) == {("2001000003", "E1"): Decimal("22.572")}
    assert list_times(parsed) == ("2024-09-03T14:00:00Z", "2024-09-04T13:30:00Z")


def test_hours_of_datadis_are_named_by_their_end(samples: Path) -> None:
    parsed = read_file(find_case(samples, "datadis-json"))
    meter = "ES0000000000000001AA"
    assert sum_series(parsed) == {
        (meter, "consumptionKWh"): Decimal("24.138"),
        (meter, "surplusEnergyKWh"): Decimal("2.4"),
    }
    energy = [row for row in parsed.readings.to_pylist() if row["register"] == "consumptionKWh"]
    for day in ((2024, 10, 25, 22), (2024, 10, 26, 22)):
        start = datetime.datetime(*day, tzinfo=datetime.UTC)
        end = start + datetime.timedelta(hours=24 if day[2] == 25 else 25)
        own = [row for row in energy if start <= row["reading_ts"] < end]
        assert (sum(row["value"] for row in own), len(own)) == (Decimal("12.069"), 24)
    assert Counter(row["quality"] for row in energy) == {"actual": 47, "estimated": 1}


def test_an_mscons_point_may_be_a_name(samples: Path) -> None:
    parsed = read_file(find_case(samples, "mscons-point-in-the-name-part"))
    point = ("CH1000000000000000000000000000001", "1-1:1.29.0*255")
    assert sum_series(parsed) == {point: Decimal("490.064")}
    assert parsed.readings.num_rows == 96
    assert list_times(parsed) == ("2024-03-03T23:00:00Z", "2024-03-04T22:45:00Z")
