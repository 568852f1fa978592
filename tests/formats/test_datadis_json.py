"""Datadis: hours by their end, days of a clock change, qualities, and values that a home does not have."""

import datetime
import json
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import parse_mapping
from data.ingest.formats.reading import iter_batches, read_file
from data.ingest.schema import ParsedFile
from tests.formats import example

MADRID_SUMMER = datetime.timedelta(hours=2)


def hour(day: str, end: int, value: Any, **more: Any) -> dict[str, Any]:
    return {
        "cups": "ES0000000000000002AB",
        "date": day,
        "time": f"{end:02}:00",
        "consumptionKWh": value,
        "obtainMethod": "Real",
        **more,
    }


def write_example(values: example.Values) -> bytes:
    """In June the clocks of Madrid are two hours ahead, and an hour is named by its end."""
    rows = []
    for at, value in zip(example.list_instants(values), values, strict=True):
        local = at + MADRID_SUMMER
        rows.append(hour(f"{local:%Y/%m/%d}", local.hour + 1, float(value)))
    return json.dumps(rows).encode()


EXAMPLE = example.Example(write_example)


def read(folder: Path, document: Any, **mapping: str) -> ParsedFile:
    path = folder / "answer.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    declared = parse_mapping({"format": "datadis_json", **mapping}, "test") if mapping else None
    return read_file(path, mapping=declared)


def sums(parsed: ParsedFile) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for row in parsed.readings.to_pylist():
        found[row["channel"]] = found.get(row["channel"], Decimal(0)) + (row["value"] or 0)
    return found


@pytest.mark.parametrize("wrap", [list, lambda rows: {"timeCurve": rows, "distributorError": []}])
def test_a_day_is_read_from_its_first_to_its_last_hour(tmp_path: Path, wrap: Any) -> None:
    rows = [hour("2025/06/01", n, n / 8, surplusEnergyKWh=0.5) for n in range(1, 25)]
    parsed = read(tmp_path, wrap(rows))
    assert sums(parsed) == {"import": Decimal(300) / 8, "export": Decimal(12)}
    starts = sorted(set(parsed.readings["reading_ts"].to_pylist()))
    assert (starts[0], len(starts)) == (datetime.datetime(2025, 5, 31, 22, tzinfo=datetime.UTC), 24)


def test_of_25_hours_24_are_known_and_of_23_all(tmp_path: Path) -> None:
    autumn = read(tmp_path, [hour("2024/10/27", n, 1) for n in range(1, 25)])
    starts = autumn.readings["reading_ts"].to_pylist()
    gaps = [later for before, later in pairwise(starts) if later - before > example.HOUR]
    assert (len(starts), gaps) == (24, [datetime.datetime(2024, 10, 27, 2, tzinfo=datetime.UTC)])
    spring = read(tmp_path, [hour("2025/03/30", n, 1) for n in range(1, 25) if n != 3])
    starts = spring.readings["reading_ts"].to_pylist()
    assert starts == [starts[0] + n * example.HOUR for n in range(23)]
    repeated = [hour("2024/10/27", n, n) for n in sorted([*range(1, 25), 3])]
    assert sums(read(tmp_path, repeated)) == {"import": Decimal(303)}


def test_what_a_home_does_not_have_is_skipped_and_counted(tmp_path: Path) -> None:
    rows = [hour("2025/06/01", n, 1, generationEnergyKWh=None, surplusEnergyKWh=None) for n in range(1, 25)]
    rows[7]["surplusEnergyKWh"] = 0.25
    rows[8]["consumptionKWh"] = None
    parsed = read(tmp_path, rows)
    assert sums(parsed) == {"import": Decimal(23), "export": Decimal("0.25")}
    assert parsed.readings.num_rows == 25
    batches = [batch for _, batch in iter_batches(tmp_path / "answer.json")]
    assert sum(batch.skipped.total() for batch in batches) == 47


def test_an_estimate_is_known_and_another_method_rejects_its_hour(tmp_path: Path) -> None:
    rows = [hour("2025/06/01", n, 1) for n in range(1, 25)]
    rows[0]["obtainMethod"] = "Estimada"
    rows[1]["obtainMethod"] = "Guess"
    parsed = read(tmp_path, rows)
    assert parsed.readings["quality"].to_pylist() == ["estimated", *["actual"] * 22]
    assert parsed.rejected["rule"].to_pylist() == ["ROW-QUALITY"]


def test_a_mapping_gives_another_zone_or_name(tmp_path: Path) -> None:
    rows = [hour("2025/06/01", 1, 1)]
    parsed = read(tmp_path, rows, timezone="Atlantic/Canary", identifier="Roof")
    [row] = parsed.readings.to_pylist()
    assert (row["identifier"], row["reading_ts"].hour) == ("Roof", 23)


@pytest.mark.parametrize(
    "text",
    [
        '[{"consumptionKWh": 1}]',
        '{"consumptionKWh": {"a": 1}}',
        '[{"cups": "x", "consumptionKWh": [',
        '{"consumptionKWh": 1}',
        '[{"cups": 1, "date": 2, "time": 3, "consumptionKWh": 4, "obtainMethod": 5}]',
    ],
)
def test_another_document_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(RefusedFile):
        read(tmp_path, text)
