"""The canonical CSV: whole columns at once, and the same verdicts line by line where a block is unusual."""

import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest.errors import RefusedFile
from data.ingest.formats.reading import read_file
from data.ingest.schema import PARSED, ParsedFile
from tests.formats import example

COLUMNS = [
    "identifier",
    "register",
    "channel",
    "unit",
    "reading_ts",
    "interval_seconds",
    "value",
    "quality",
    "source_version",
]
GOOD = {
    "identifier": "M1",
    "register": "1.8.0",
    "channel": "import",
    "unit": "kWh",
    "reading_ts": "2024-02-01T00:00:00Z",
    "interval_seconds": "900",
    "value": "0.125",
    "quality": "actual",
    "source_version": "2024-02-02T00:00:00+00:00",
}


def row(**changes: str) -> str:
    return ",".join((GOOD | changes)[name] for name in COLUMNS)


def write(path: Path, *rows: str, header: str = ",".join(COLUMNS)) -> Path:
    path = path / "canonical.csv"
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8", newline="")
    return path


def rejections(parsed: ParsedFile) -> list[tuple[int, str]]:
    return [(entry["line"], entry["rule"]) for entry in parsed.rejected.to_pylist()]


def write_example(values: example.Values) -> bytes:
    rows = [
        ",".join(str(field) for field in record.values()) for record in example.list_canonical_records(values)
    ]
    return "\n".join([",".join(COLUMNS), *rows, ""]).encode()


EXAMPLE = example.Example(write_example)


def test_a_row_is_a_reading(tmp_path: Path) -> None:
    later = row(reading_ts="2024-02-01 10:15:00+10:00", value="", quality="null", unit="WH")
    parsed = read_file(write(tmp_path, row(), later))
    first, second = parsed.readings.to_pylist()
    assert (parsed.format, parsed.readings.schema) == ("canonical_csv", PARSED)
    assert (first["line"], first["value"], first["interval_seconds"]) == (2, Decimal("0.125"), 900)
    assert second["reading_ts"] == datetime.datetime(2024, 2, 1, 0, 15, tzinfo=datetime.UTC)
    assert (second["value"], second["quality"], second["unit"]) == (None, "null", "Wh")
    assert parsed.source_version == datetime.datetime(2024, 2, 2, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"reading_ts": "2024-02-30T00:00:00Z"}, "ROW-TIMESTAMP"),
        ({"reading_ts": "2023-02-29T00:00:00Z"}, "ROW-TIMESTAMP"),
        ({"reading_ts": "2024-02-01T00:00:00"}, "ROW-TIMESTAMP"),
        ({"reading_ts": ""}, "ROW-TIMESTAMP"),
        ({"source_version": "yesterday"}, "ROW-TIMESTAMP"),
        ({"interval_seconds": "0"}, "ROW-INTERVAL"),
        ({"interval_seconds": "-900"}, "ROW-INTERVAL"),
        ({"interval_seconds": "15 min"}, "ROW-INTERVAL"),
        ({"value": "abc"}, "ROW-VALUE"),
        ({"value": "NaN"}, "ROW-VALUE"),
        ({"value": "1e308"}, "ROW-PRECISION"),
        ({"value": "0.1234567891"}, "ROW-PRECISION"),
        ({"value": ""}, "ROW-QUALITY"),
        ({"quality": "null"}, "ROW-QUALITY"),
        ({"quality": "good"}, "ROW-QUALITY"),
        ({"unit": "furlong"}, "ROW-UNIT"),
        ({"unit": ""}, "ROW-UNIT"),
        ({"channel": "net"}, "ROW-CHANNEL"),
        ({"identifier": ""}, "ROW-CHANNEL"),
        ({"register": "a,b"}, "CSV-COLUMNS"),
        ({"register": '"' + "x" * 200_000 + '"'}, "CSV-COLUMNS"),
        ({"value": "1\0"}, "ROW-ENCODING"),
        ({"value": "1\ufffd"}, "ROW-ENCODING"),
    ],
)
@pytest.mark.parametrize("unusual", [False, True])
def test_only_a_wrong_row_is_rejected_with_its_line(
    tmp_path: Path, changes: dict[str, str], rule: str, unusual: bool
) -> None:
    # A quoted field in another row sends the block to the reader that goes line by line.
    last = row(identifier='"M3"' if unusual else "M3")
    parsed = read_file(write(tmp_path, row(), row(**changes), row(identifier="M2"), last))
    assert rejections(parsed) == [(3, rule)]
    assert parsed.readings["identifier"].to_pylist() == ["M1", "M2", "M3"]
    assert parsed.readings["line"].to_pylist() == [2, 4, 5]


@pytest.mark.parametrize(
    ("header", "rule"),
    [
        (",".join(COLUMNS) + ",colour", "'colour'"),
        (",".join(COLUMNS[:-1]), "source_version"),
        (",".join([*COLUMNS, "value"]), "a column name is repeated"),
    ],
)
def test_a_header_with_other_columns_refuses_the_file_by_name(tmp_path: Path, header: str, rule: str) -> None:
    with pytest.raises(RefusedFile, match=rule) as refusal:
        read_file(write(tmp_path, row(), header=header))
    assert (refusal.value.line, refusal.value.rule) == (1, "CSV-HEADER")


def test_a_file_without_its_last_line_end_is_taken_for_cut(tmp_path: Path) -> None:
    path = write(tmp_path, row(), row(identifier="M2"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RefusedFile) as refusal:
        read_file(path)
    assert refusal.value.rule == "FILE-CUT"


@pytest.mark.parametrize("rows", [[], ["", ""]])
def test_a_header_alone_is_refused(tmp_path: Path, rows: list[str]) -> None:
    with pytest.raises(RefusedFile) as refusal:
        read_file(write(tmp_path, *rows))
    assert refusal.value.rule == "FILE-NO-DATA"


def test_blank_lines_keep_the_line_numbers(tmp_path: Path) -> None:
    parsed = read_file(write(tmp_path, row(), "", row(value="x"), row(identifier="M2")))
    assert rejections(parsed) == [(4, "ROW-VALUE")]
    assert parsed.readings["line"].to_pylist() == [2, 5]


def test_the_later_of_two_conflicting_rows_counts_and_the_conflict_is_reported(tmp_path: Path) -> None:
    parsed = read_file(write(tmp_path, row(value="0"), row(value="2"), row(value="2")))
    assert parsed.readings["value"].to_pylist() == [2]
    assert rejections(parsed) == [(2, "VEE-CONFLICT")]


def test_line_numbers_go_on_from_block_to_block(tmp_path: Path) -> None:
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    stamps = [(start + datetime.timedelta(minutes=15 * i)).isoformat() for i in range(40_000)]
    rows = [row(reading_ts=stamp) for stamp in stamps]
    rows[39_000] = row(value="bad")
    rows[20_000] = row(register='"x')
    parsed = read_file(write(tmp_path, *rows))
    assert rejections(parsed)[-1] == (39_002, "ROW-VALUE")
    assert parsed.readings["line"][-1].as_py() == 40_001
    assert parsed.readings.num_rows + parsed.rejected.num_rows == 40_000


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.datetimes(datetime.datetime(1995, 1, 1), datetime.datetime(2030, 1, 1)),
            st.decimals(-99_999_999_999, 99_999_999_999, places=9) | st.none(),
            st.sampled_from(["+00:00", "Z", "+10:00", "-08:00", "+05:45"]),
        ),
        min_size=1,
        max_size=20,
    ),
    st.booleans(),
)
def test_what_is_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    readings: list[tuple[datetime.datetime, Decimal | None, str]],
    unusual: bool,
) -> None:
    rows, expected = [], []
    for number, (start, value, offset) in enumerate(readings):
        stamp = f"{start.replace(microsecond=0).isoformat()}{offset}"
        text = "" if value is None else format(value, "f")
        quality = "null" if value is None else "edited"
        name = f"M{number}"
        rows.append(
            row(
                identifier=f'"{name}"' if unusual else name,
                reading_ts=stamp,
                value=text,
                quality=quality,
            )
        )
        instant = datetime.datetime.fromisoformat(stamp)
        expected.append((name, instant, value, quality))
    read = read_file(write(tmp_path_factory.mktemp("round"), *rows)).readings
    columns = (read[name].to_pylist() for name in ("identifier", "reading_ts", "value", "quality"))
    assert list(zip(*columns, strict=True)) == expected
