"""DSMR: the energy between the telegrams of a log, checksums, and meters on the bus."""

import datetime
from decimal import Decimal
from itertools import accumulate
from pathlib import Path

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import list_undeclared, parse_mapping
from data.ingest.formats.reading import iter_batches, read_file, read_parts
from data.ingest.schema import ParsedFile
from tests.formats import example

UTC = datetime.UTC
METER, GAS = "E0001", "G0002"


def checksum(text: bytes) -> int:
    """Bit by bit, unlike the reader."""
    rest = 0
    for byte in text:
        rest ^= byte
        for _ in range(8):
            rest = (rest >> 1) ^ 0xA001 if rest & 1 else rest >> 1
    return rest


def stamp(at: datetime.datetime) -> str:
    """In summer time or standard time of the Netherlands, by the instant."""
    year = at.year
    begin = datetime.datetime(year, 3, 31 - (datetime.date(year, 3, 31).weekday() + 1) % 7, 1, tzinfo=UTC)
    end = datetime.datetime(year, 10, 31 - (datetime.date(year, 10, 31).weekday() + 1) % 7, 1, tzinfo=UTC)
    is_summer = begin <= at < end
    local = at + datetime.timedelta(hours=2 if is_summer else 1)
    return f"{local:%y%m%d%H%M%S}{'S' if is_summer else 'W'}"


def telegram(
    at: datetime.datetime | None, *objects: str, meter: str = METER, end: str | None = None
) -> bytes:
    lines = ["/ABC5\\Meter-1", "", "1-3:0.2.8(50)"]
    lines += [f"0-0:1.0.0({stamp(at)})"] if at else []
    lines += [f"0-0:96.1.1({meter.encode().hex().upper()})", *objects]
    body = "\r\n".join([*lines, "!"]).encode()
    return body + (f"{checksum(body):04X}" if end is None else end).encode() + b"\r\n"


def dial(code: str, value: object, unit: str = "kWh") -> str:
    return f"1-0:{code}({value}*{unit})"


def write_example(values: example.Values) -> bytes:
    """A telegram an hour, of a dial that starts at 1000."""
    reads = accumulate(values, initial=Decimal(1000))
    instants = [example.START + example.HOUR * number for number in range(len(values) + 1)]
    return b"".join(
        telegram(at, dial("1.8.0", f"{read:010.3f}")) for at, read in zip(instants, reads, strict=True)
    )


EXAMPLE = example.Example(write_example)
START = datetime.datetime(2025, 6, 1, tzinfo=UTC)
QUARTER = datetime.timedelta(minutes=15)


def read(folder: Path, *telegrams: bytes, **mapping: str) -> ParsedFile:
    path = folder / "log.txt"
    path.write_bytes(b"".join(telegrams))
    declared = parse_mapping({"format": "dsmr", **mapping}, "test") if mapping else None
    return read_file(path, mapping=declared)


def sums(parsed: ParsedFile) -> dict[tuple[str, str, str], Decimal]:
    found: dict[tuple[str, str, str], Decimal] = {}
    for row in parsed.readings.to_pylist():
        key = (row["identifier"], row["register"], row["channel"])
        found[key] = found.get(key, Decimal(0)) + row["value"]
    return found


def test_the_energy_lies_between_telegrams(tmp_path: Path) -> None:
    log = [
        telegram(
            START + QUARTER * n,
            dial("1.8.1", f"{100 + n / 4:010.3f}"),
            dial("1.8.2", "000200.000"),
            dial("2.8.1", f"{n / 8:010.3f}"),
            "1-0:1.7.0(00.424*kW)",
            "0-1:24.1.0(003)",
            f"0-1:96.1.0({GAS.encode().hex()})",
            f"0-1:24.2.1({stamp(START + QUARTER * (n - n % 4))})({50 + n // 4:09.3f}*m3)",
        )
        for n in range(9)
    ]
    parsed = read(tmp_path, *log)
    assert sums(parsed) == {
        (METER, "1-0:1.8.1", "import"): Decimal(2),
        (METER, "1-0:1.8.2", "import"): Decimal(0),
        (METER, "1-0:2.8.1", "export"): Decimal(1),
        (GAS, "0-1:24.2.1", "consumption"): Decimal(2),
    }
    starts = [row["reading_ts"] for row in parsed.readings.to_pylist() if row["register"] == "1-0:1.8.1"]
    assert starts == [START + QUARTER * n for n in range(8)]
    assert parsed.rejected.num_rows == 0
    assert parsed.register_reads.num_rows
    batches = [batch for _, batch in iter_batches(tmp_path / "log.txt")]
    skipped = sum((batch.skipped for batch in batches), type(batches[0].skipped)())
    assert skipped["a value of a telegram that is no dial"] == 9


def test_a_sum_beside_its_tariffs_is_not_counted_as_import(tmp_path: Path) -> None:
    log = [
        telegram(START + QUARTER * n, dial("1.8.0", 300 + n), dial("1.8.1", 100 + n), dial("1.8.2", 200))
        for n in range(2)
    ]
    assert sums(read(tmp_path, *log)) == {
        (METER, "1-0:1.8.0", "other"): Decimal(1),
        (METER, "1-0:1.8.1", "import"): Decimal(1),
        (METER, "1-0:1.8.2", "import"): Decimal(0),
    }


@pytest.mark.parametrize(
    "day",
    [datetime.datetime(2024, 10, 26, 22, tzinfo=UTC), datetime.datetime(2025, 3, 29, 23, tzinfo=UTC)],
)
def test_the_season_of_a_time_decides_in_the_hours_of_a_clock_change(
    tmp_path: Path, day: datetime.datetime
) -> None:
    log = [telegram(day + example.HOUR * n, dial("1.8.0", n)) for n in range(7)]
    rows = read(tmp_path, *log).readings.to_pylist()
    assert [row["reading_ts"] for row in rows] == [day + example.HOUR * n for n in range(6)]


def test_a_telegram_with_a_wrong_checksum_is_rejected_and_its_energy_is_not_lost(tmp_path: Path) -> None:
    log = [telegram(START + QUARTER * n, dial("1.8.0", n)) for n in range(4)]
    log[1] = log[1].replace(b"(1*kWh)", b"(7*kWh)")
    parsed = read(tmp_path, *log)
    assert sums(parsed) == {(METER, "1-0:1.8.0", "import"): Decimal(3)}
    assert parsed.readings.num_rows == 2
    assert [(row["line"], row["rule"]) for row in parsed.rejected.to_pylist()] == [(8, "DSMR-TELEGRAM")]


@pytest.mark.parametrize(
    "broken",
    [
        telegram(START, dial("1.8.0", 1), end=""),
        telegram(None, dial("1.8.0", 1)),
        telegram(START, dial("1.8.0", 1), dial("1.8.0", 2)),
        telegram(START, dial("1.8.0", 1)).rpartition(b"!")[0],
        telegram(START, "0-0:1.0.0(250230000000W)", dial("1.8.0", 1)),
    ],
)
def test_a_telegram_that_is_not_whole_is_rejected(tmp_path: Path, broken: bytes) -> None:
    log = [telegram(START + QUARTER * n, dial("1.8.0", n)) for n in range(2)]
    parsed = read(tmp_path, broken, *log)
    assert sums(parsed) == {(METER, "1-0:1.8.0", "import"): Decimal(1)}
    assert parsed.rejected["rule"].to_pylist() == ["DSMR-TELEGRAM"]


def test_line_ends_and_lines_of_the_program_do_not_matter(tmp_path: Path) -> None:
    log = [telegram(START + QUARTER * n, dial("1.8.0", n)) for n in range(2)]
    for text in (
        (b"# started\n", log[0], b"\n12:00 ok\n", log[1]),
        [part.replace(b"\r", b"") for part in log],
    ):
        assert sums(read(tmp_path, *text)) == {(METER, "1-0:1.8.0", "import"): Decimal(1)}


def test_a_dial_that_turns_back_is_rejected(tmp_path: Path) -> None:
    log = [telegram(START + QUARTER * n, dial("1.8.0", read)) for n, read in enumerate((5, 6, 2, 3))]
    parsed = read(tmp_path, *log)
    assert sums(parsed) == {(METER, "1-0:1.8.0", "import"): Decimal(2)}
    assert parsed.rejected["rule"].to_pylist() == ["ROW-DIAL"]


def test_a_meter_without_a_name_needs_one_and_another_zone_may_be_given(tmp_path: Path) -> None:
    log = [telegram(START + QUARTER * n, dial("1.8.0", n), meter="") for n in range(2)]
    read(tmp_path, *log)
    assert list_undeclared(read_parts(tmp_path / "log.txt"), None) == ["identifier"]
    [row] = read(tmp_path, *log, identifier="Hall", timezone="Europe/Helsinki").readings.to_pylist()
    assert (row["identifier"], row["reading_ts"]) == ("Hall", START - example.HOUR)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (telegram(START, dial("1.8.0", 1)), "FILE-NO-DATA"),
        (telegram(START, dial("1.8.0", 1)) + telegram(START + QUARTER, dial("1.8.0", 2))[:40], "FILE-CUT"),
        (telegram(START, dial("1.8.0", 1)) + b"/ABC5\n" + b"1-0:1.7.0(1)\n" * 2000, "FILE-FORMAT"),
    ],
)
def test_a_log_without_energy_or_end_is_refused(tmp_path: Path, content: bytes, rule: str) -> None:
    with pytest.raises(RefusedFile) as refusal:
        read(tmp_path, content)
    assert refusal.value.rule == rule
