"""n3rgy: local labels at the end of intervals."""

import json
from pathlib import Path
from typing import Any

import pytest

from data.ingest.errors import RefusedFile
from tests.formats import example
from tests.formats.portal_text import column, declared, n3rgy, read, rules


def write_example(values: example.Values) -> bytes:
    rows = [
        {"primaryValue": float(value), "timestamp": f"{at:%Y-%m-%d %H:%M}"}
        for at, value in zip(example.list_instants(values), values, strict=True)
    ]
    head = {"resource": "/mpxn/1/utility/electricity/readingtype/consumption/1", "granularity": "hour"}
    return json.dumps(head | {"values": rows, "unit": "kWh"}).encode()


EXAMPLE = example.Example(write_example, {"identifier": "M1", "timezone": "UTC", "label": "start"})


def test_n3rgy_labels_ends_in_the_zone_that_is_declared(tmp_path: Path) -> None:
    london = declared("n3rgy_json", timezone="Europe/London")
    labels = [
        "2024-10-27 01:00",
        "2024-10-27 01:30",
        "2024-10-27 01:00",
        "2024-10-27 01:30",
        "2024-10-27 02:00",
    ]
    parsed = read(tmp_path, n3rgy([(label, number) for number, label in enumerate(labels)]), london)
    assert [f"{start:%d %H:%M}" for start in column(parsed, "reading_ts")] == [
        "26 23:30", "27 00:00", "27 00:30", "27 01:00", "27 01:30",
    ]  # fmt: skip
    assert column(parsed, "value") == [0, 1, 2, 3, 4]
    first = parsed.readings.to_pylist()[0]
    assert (first["identifier"], first["serial_number"], first["channel"]) == (
        "1200000000001",
        "01-02",
        "import",
    )
    skipped = read(tmp_path, n3rgy([("2024-03-31 00:30", 1), ("2024-03-31 01:30", 2)]), london)
    assert rules(skipped) == [(2, "ROW-TIMESTAMP")]


def test_n3rgy_may_state_unit_and_length_after_its_values(tmp_path: Path) -> None:
    document = n3rgy([("2024-01-01 00:30", 1), ("2024-01-01 01:00", None)])
    for name in ("unit", "granularity", "resource"):
        document[name] = document.pop(name)
    parsed = read(tmp_path, document)
    assert (column(parsed, "value"), column(parsed, "quality")) == ([1, None], ["actual", "null"])
    assert column(parsed, "identifier") == ["1200000000001"] * 2
    older = {
        "resource": document["resource"],
        "unit": "kWh",
        "values": [{"value": 2, "timestamp": "2024-01-01 00:30"}],
    }
    assert column(read(tmp_path, older), "value") == [2]


@pytest.mark.parametrize("changes", [{"granularity": "day"}, {"granularity": "month"}])
def test_n3rgy_totals_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(RefusedFile, match="JSON-CONTENT"):
        read(tmp_path, n3rgy([("2024-01-01 00:30", 1)], **changes))


def test_n3rgy_production_is_export_and_gas_is_consumption(tmp_path: Path) -> None:
    for kind, unit, channel in (
        ("electricity/readingtype/production", "kWh", "export"),
        ("gas/readingtype/consumption", "m3", "consumption"),
    ):
        parsed = read(
            tmp_path, n3rgy([("2024-01-01 00:30", 1)], resource=f"/mpxn/9/utility/{kind}", unit=unit)
        )
        assert (column(parsed, "channel"), column(parsed, "unit")) == ([channel], [unit])
