"""Canonical Parquet: typed columns, by the rules of the canonical CSV."""

import datetime
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest.errors import RefusedFile
from data.ingest.formats import canonical_parquet
from data.ingest.formats.detect import detect_format
from data.ingest.formats.reading import read_file
from tests.formats import example
from tests.formats.canonical_text import GOOD, ndjson, rules


def parquet(folder: Path, columns: dict[str, pa.Array], **options: Any) -> Path:
    path = folder / "canonical.parquet"
    pq.write_table(pa.table(columns), path, **options)
    return path


def typed(values: list[Any], kind: pa.DataType | None = None) -> dict[str, pa.Array]:
    count = len(values)
    start = datetime.datetime(2024, 2, 1, tzinfo=datetime.UTC)
    times = [start + datetime.timedelta(minutes=15 * number) for number in range(count)]
    return {
        **{name: pa.array([GOOD[name]] * count) for name in ("identifier", "register", "channel", "unit")},
        "reading_ts": pa.array(times, pa.timestamp("ms", tz="Europe/Berlin")),
        "interval_seconds": pa.array([900] * count, pa.int16()),
        "value": pa.array(values, kind),
        "quality": pa.array(["null" if value is None else "actual" for value in values]),
        "source_version": pa.array([start] * count),
    }


def write_example(values: example.Values) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(example.list_canonical_records(values)), file)
    return file.getvalue()


EXAMPLE = example.Example(write_example)


def test_parquet_is_read_by_its_types(tmp_path: Path) -> None:
    path = parquet(tmp_path, typed([Decimal("1.5"), None, Decimal("2.000000001")], pa.decimal128(20, 9)))
    parsed = read_file(path)
    assert (detect_format(path), parsed.format, rules(parsed)) == (
        "canonical_parquet",
        "canonical_parquet",
        [],
    )
    assert parsed.readings["value"].to_pylist() == [Decimal("1.5"), None, Decimal("2.000000001")]
    assert parsed.readings["reading_ts"][1].as_py() == datetime.datetime(
        2024, 2, 1, 0, 15, tzinfo=datetime.UTC
    )
    assert parsed.readings["line"].to_pylist() == [1, 2, 3]


def test_parquet_may_hold_texts_categories_and_floats(tmp_path: Path) -> None:
    columns = typed([0.1, 0.25, float("nan"), 1e308])
    columns["identifier"] = pa.array(["A", "A", "A", "A"]).dictionary_encode()
    columns["source_version"] = pa.array(["2024-02-02T00:00:00Z"] * 4)
    parsed = read_file(parquet(tmp_path, columns))
    assert parsed.readings["value"].to_pylist() == [Decimal("0.1"), Decimal("0.25")]
    assert rules(parsed) == [(3, "ROW-VALUE"), (4, "ROW-PRECISION")]


def test_parquet_with_other_columns_or_types_is_refused(tmp_path: Path) -> None:
    naive = typed([1]) | {"reading_ts": pa.array([datetime.datetime(2024, 1, 1)])}
    nested = typed([1]) | {"unit": pa.array([["kWh"]])}
    for columns, message in (
        (typed([1]) | {"colour": pa.array(["red"])}, "'colour'"),
        ({name: column for name, column in typed([1]).items() if name != "unit"}, "missing columns: unit"),
        (naive, "without a zone"),
        (nested, "'unit' has the type"),
    ):
        with pytest.raises(RefusedFile, match=message):
            read_file(parquet(tmp_path, columns))


def test_parquet_that_is_damaged_or_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = parquet(tmp_path, typed([1.5] * 500), compression="gzip")
    whole = path.read_bytes()
    outcomes = set()
    for place in range(4, len(whole), 97):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            read_file(path)
            outcomes.add("read")
        except RefusedFile as refusal:
            outcomes.add(refusal.rule)
        path.write_bytes(whole[:place])
        with pytest.raises(RefusedFile):
            read_file(path)
    assert "FILE-DAMAGED" in outcomes
    path.write_bytes(whole)
    monkeypatch.setattr(canonical_parquet, "MAX_GROUP_BYTES", 100)
    with pytest.raises(RefusedFile, match="FILE-TOO-LARGE"):
        read_file(path)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.decimals(0, 99_999_999, places=9) | st.none(), min_size=1, max_size=20))
def test_the_three_canonical_formats_give_equal_readings(
    tmp_path_factory: pytest.TempPathFactory, values: list[Decimal | None]
) -> None:
    folder = tmp_path_factory.mktemp("same")
    columns = typed(values, pa.decimal128(20, 9))
    rows = [
        dict(zip(columns, row, strict=True))
        for row in zip(*(c.to_pylist() for c in columns.values()), strict=True)
    ]
    texts = [
        {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in row.items()}
        for row in rows
    ]
    lines = [
        json.dumps(row | {"value": None if row["value"] is None else format(row["value"], "f")})
        for row in texts
    ]
    csv = folder / "canonical.csv"
    cells = [["" if row[name] is None else str(row[name]) for name in columns] for row in texts]
    csv.write_text("\n".join([",".join(columns), *map(",".join, cells), ""]))
    tables = [
        read_file(path).readings.drop_columns(["line"])
        for path in (csv, ndjson(folder, *lines), parquet(folder, columns))
    ]
    assert tables[0].equals(tables[1]) and tables[0].equals(tables[2])
    assert tables[0]["value"].to_pylist() == values
