"""A file in parts is the same file as in memory, with bounds that cut it as often as can be."""

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest.errors import RefusedFile
from data.ingest.formats import parts
from data.ingest.formats.columns import Batch
from data.ingest.formats.parts import Gathered, join_parts
from data.ingest.formats.reading import read_file, read_parts
from data.ingest.formats.registry import FORMATS
from data.ingest.inspect import inspect
from data.ingest.rules.energy import energy_balance
from data.ingest.rules.judge import judge
from data.ingest.schema import PARSED, REGISTER_READ, REGISTERS, REJECTED, ParsedFile
from tests.formats.example import DAY
from tests.formats.gallery import declare_example, write_example
from tests.formats.invariants import NOW, account
from tests.formats.test_latest import Row, table

# Register, day, length in quarter-hours up to 31 days, version, part: rows lie across the ends of spans.
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["E1", "E2", "E3"]),
        st.integers(0, 100),
        st.sampled_from([1, 4, 96, 31 * 96]),
        st.integers(0, 2),
        st.integers(0, 2),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=40,
)


def gathered(rows: list[Row], batch: int, memory_bytes: int) -> ParsedFile:
    """Rows, sorted by part, in small batches, each with a rejected row."""
    found = Gathered(Path("x"), memory_bytes)
    everything = table([(row[0], row[1] * 96, *row[2:]) for row in rows])
    for part in sorted({row[4] for row in rows}):
        own = everything.filter(pa.array([row[4] == part for row in rows]))
        for start in range(0, own.num_rows, batch):
            found.add(Batch(own.slice(start, batch), rejected(start), part))
    return join_parts(found.finish("canonical_csv", ""))


def rejected(line: int) -> pa.Table:
    row = {"line": line, "rule": "ROW-VALUE", "severity": "reject", "reason": "x"}
    return pa.Table.from_pylist([row], schema=REJECTED)


def as_rows(found: pa.Table) -> list[dict[str, Any]]:
    return sorted(found.to_pylist(), key=repr)


@settings(max_examples=50, deadline=None)
@given(ROWS, st.integers(1, 10))
def test_rows_come_out_as_if_all_had_been_in_memory(rows: list[Row], batch: int) -> None:
    rows = sorted(rows, key=lambda row: row[4])
    expected, found = (gathered(rows, batch, memory_bytes) for memory_bytes in (1 << 30, 1))
    assert as_rows(found.readings) == as_rows(expected.readings)
    assert as_rows(found.rejected) == as_rows(expected.rejected)
    assert found.source_version == expected.source_version


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_the_same_in_parts(format: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(write_example(format, [Decimal(number * 7 % 96) / 8 for number in range(40 * DAY)]))
    file = read_parts(path, mapping=declare_example(format), memory_bytes=1)
    found, expected = join_parts(file), read_file(path, mapping=declare_example(format))
    assert len(list(file.parts())) > 1
    assert as_rows(found.readings) == as_rows(expected.readings)
    assert as_rows(found.rejected) == as_rows(expected.rejected)
    assert account(found) == account(expected)


def test_parts_that_are_judged_alone_add_up(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(write_example("canonical_csv", [Decimal(number) for number in range(100 * DAY)]))
    file = read_parts(path, memory_bytes=1)
    energies = []
    for part in file.parts():
        judged = judge(part, _configured("M1"), now=NOW)
        energies.append(energy_balance(part, judged))
    assert len(energies) > 2
    total = sum(energies[1:], energies[0])
    assert total.is_balanced
    assert total.energy_in_kwh == total.accepted_kwh == sum(range(100 * DAY))
    assert list(file.spans) == [("M1", "E1")]


def test_inspect_reports_the_same_for_a_file_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.csv"
    rows = write_example("canonical_csv", [Decimal(number) for number in range(50 * DAY)]).decode()
    others = rows.split("\n", 1)[1].replace("M1", "A0").replace(",kWh,", ",Wh,")
    path.write_text(rows + others + others.split("\n", 1)[0].replace(",0,", ",x,") + "\n")
    expected = inspect(path)
    monkeypatch.setattr("data.ingest.inspect.read_parts", lambda *given: read_parts(*given, memory_bytes=1))
    assert inspect(path) == expected
    assert [channel["meter"] for channel in expected["channels"]] == ["M1", "A0"]


def test_a_large_file_without_valid_rows_is_refused_with_its_first_row(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    good = write_example("canonical_csv", [Decimal(number) for number in range(800 * DAY)]).decode()
    path.write_text(good.replace(",kWh,", ",furlongs,"))
    with pytest.raises(RefusedFile, match=rf"{800 * DAY} rows are rejected, the first by ROW-UNIT") as caught:
        read_parts(path, memory_bytes=1)
    assert 0 < caught.value.rejected.num_rows < 800 * DAY


def test_too_many_register_reads_refuse_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MAX_REGISTER_READS", 3)
    read = {
        "line": 1, "identifier": "N", "register": "11", "channel": "import", "serial_number": "S",
        "read_at": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), "value": Decimal(1), "digits": 5,
        "multiplier": 1, "unit": "kWh", "quality": "actual",
        "source_version": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    }  # fmt: skip
    batch = Batch(
        PARSED.empty_table(), REJECTED.empty_table(), 0, pa.Table.from_pylist([read] * 2, REGISTER_READ)
    )
    found = Gathered(Path("x"))
    found.add(batch)
    with pytest.raises(RefusedFile, match="FILE-TOO-LARGE: the file holds more than 3 register reads"):
        found.add(batch)


def _configured(identifier: str) -> pa.Table:
    row = {
        "identifier": identifier,
        "register": "E1",
        "meter_id": "m",
        "channel": "import",
        "timezone": "UTC",
    }
    return pa.Table.from_pylist([row], schema=REGISTERS)
