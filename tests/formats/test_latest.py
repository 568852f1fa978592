"""Which of several rows for one interval holds: against a slow and obvious way of finding out."""

import datetime
import itertools
from decimal import Decimal

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest.formats.latest import keep_latest
from data.ingest.schema import PARSED

START = datetime.datetime(2024, 2, 1, tzinfo=datetime.UTC)
QUALITIES = ("null", "estimated", "edited", "actual")
# Register, quarter-hour, length in quarter-hours, version, part, rank of the quality.
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["E1", "E2"]),
        st.integers(0, 7),
        st.sampled_from([1, 2, 4]),
        st.integers(0, 2),
        st.integers(0, 2),
        st.integers(0, 3),
    ),
    max_size=25,
)
Row = tuple[str, int, int, int, int, int]


def table(rows: list[Row]) -> pa.Table:
    quarter = datetime.timedelta(minutes=15)
    return pa.Table.from_pylist(
        [
            {
                "line": line,
                "identifier": "M1",
                "register": register,
                "channel": "import",
                "unit": "kWh",
                "reading_ts": START + at * quarter,
                "interval_seconds": length * 900,
                "value": Decimal(line) if rank else None,
                "quality": QUALITIES[rank],
                "source_version": START + datetime.timedelta(days=version),
            }
            for line, (register, at, length, version, _, rank) in enumerate(rows)
        ],
        schema=PARSED,
    )


@settings(max_examples=150, deadline=None)
@given(ROWS)
def test_no_interval_is_covered_twice_and_no_row_is_lost(rows: list[Row]) -> None:
    rows = sorted(rows, key=lambda row: row[4])
    kept, told = keep_latest(table(rows), np.array([row[4] for row in rows], dtype=np.int64))
    survivors = kept["line"].to_pylist()
    covered = [(rows[line][0], at) for line in survivors for at in range(rows[line][1], sum(rows[line][1:3]))]
    assert len(covered) == len(set(covered))
    # Rows without a value that equal the kept one are dropped without a report.
    lost = set(range(len(rows))) - {*survivors, *told["line"].to_pylist()}
    assert all(rows[line][5] == 0 for line in lost)
    assert len(survivors) + told.num_rows + len(lost) == len(rows)
    # Whoever holds an interval start has the best quality, and is the newest of those.
    for line in survivors:
        same = [i for i, row in enumerate(rows) if row[:2] == rows[line][:2]]
        assert line == max(same, key=lambda i: (rows[i][5], rows[i][3], rows[i][4], i))


def test_a_clean_file_is_passed_on_untouched() -> None:
    readings = table(
        [("E1", at, 1, 0, 0, 3) for at in range(4)] + [("E2", at, 1, 0, 0, 3) for at in range(4)]
    )
    kept, told = keep_latest(readings, np.zeros(8, dtype=np.int64))
    assert kept is readings
    assert told.num_rows == 0


def test_no_value_and_no_estimate_replaces_a_value_in_another_order() -> None:
    for versions in itertools.permutations(range(4)):
        readings = table([("E1", 0, 1, version, 0, rank) for rank, version in enumerate(versions)])
        kept, told = keep_latest(readings, np.zeros(4, dtype=np.int64))
        assert kept["quality"].to_pylist() == ["actual"]
        assert set(told["rule"].to_pylist()) == {"VEE-SUPERSEDED"}


def test_an_hour_without_a_value_does_not_replace_its_quarter_hours() -> None:
    quarters = [("E1", at, 1, 0, 0, 3) for at in range(4)]
    kept, told = keep_latest(table([*quarters, ("E1", 0, 4, 5, 1, 0)]), np.array([0, 0, 0, 0, 1]))
    assert kept["line"].to_pylist() == [0, 1, 2, 3]
    assert told["rule"].to_pylist() == ["VEE-SUPERSEDED"]
