"""Dials in a mapped CSV: the energy between reads, against plain sums; falls are declared or rejected."""

import datetime
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats import mapped_dials
from data.ingest.formats.file_mappings import MappingError
from data.ingest.inspect import inspect
from data.ingest.schema import ParsedFile
from tests.formats.mapped_csv_text import READING, mapping, read, rejections, rows, starts, values

DIAL: dict[str, Any] = {"column": "kWh", "channel": "import", "unit": "kWh", "cumulative": True}
HOURLY: dict[str, Any] = {"interval_minutes": 60, "label": None, "timezone": "Europe/Amsterdam"}


def declared(**more: Any) -> dict[str, Any]:
    return HOURLY | {"values": [DIAL | more]}


def reads(*numbers: object, meter: str = "M") -> list[str]:
    return [f"{meter},2024-01-01 {hour:02}:00,{number}" for hour, number in enumerate(numbers)]


def account(parsed: ParsedFile, row_count: int) -> None:
    """Each row ends a difference, is rejected, or is skipped with a reason."""
    assert parsed.readings.num_rows + parsed.rejected.num_rows + parsed.skipped.total() == row_count


def test_the_energy_of_an_interval_is_the_difference_of_two_reads(tmp_path: Path) -> None:
    parsed = read(tmp_path, rows(*reads("100.5", "100.5", "103.25", "110")), **declared())
    assert values(parsed) == [Decimal(0), Decimal("2.75"), Decimal("6.75")]
    assert starts(parsed) == ["12-31 23:00", "01-01 00:00", "01-01 01:00"]
    assert set(parsed.readings["reason_code"].to_pylist()) == {"DIFFERENCE"}
    assert dict(+parsed.skipped) == {mapped_dials.SKIPPED_FIRST: 1}
    account(parsed, 4)


@pytest.mark.parametrize("order", ["ascending", "descending", "by meter", "mixed"])
def test_the_sum_is_the_last_read_less_the_first_one_in_any_order(tmp_path: Path, order: str) -> None:
    chance = random.Random(order)
    lines, expected = [], {}
    for meter in ("A", "B", "C"):
        read_at, number = datetime.datetime(2024, 1, 1), Decimal(chance.randrange(10**6))
        first = number
        for _ in range(400):
            lines.append((read_at, meter, number))
            read_at += datetime.timedelta(hours=1)
            number += Decimal(chance.randrange(5000)) / 1000
        expected[meter] = lines[-1][2] - first
    if order == "mixed":
        chance.shuffle(lines)
    else:
        lines.sort(key=lambda line: line[:2] if order != "by meter" else (line[1], line[0]))
    if order == "descending":
        lines.reverse()
    texts = [f"{meter},{at:%Y-%m-%d %H:%M},{number}" for at, meter, number in lines]
    more = declared() | {"order": "descending" if order == "descending" else "ascending"}
    parsed = read(tmp_path, rows(*texts), **more)
    found = parsed.readings.group_by("identifier").aggregate([("value", "sum")]).to_pylist()
    assert {row["identifier"]: row["value_sum"] for row in found} == expected
    assert parsed.readings.num_rows == 3 * 399
    account(parsed, 1200)


def test_an_hour_without_a_read_lengthens_the_interval(tmp_path: Path) -> None:
    parsed = read(tmp_path, rows(*reads("1", "", "4", "", "", "9")), **declared())
    assert values(parsed) == [3, 5]
    assert parsed.readings["interval_seconds"].to_pylist() == [7200, 10800]
    account(parsed, 6)


def test_a_fall_is_rejected_and_the_rise_back_is_not_counted(tmp_path: Path) -> None:
    parsed = read(tmp_path, rows(*reads(100, 101, 50, 51, 102, 103)), **declared())
    assert values(parsed) == [1, 1, 1]
    assert rejections(parsed) == [(4, "ROW-DIAL"), (6, "ROW-DIAL")]
    account(parsed, 6)


def test_a_dial_that_begins_again_at_zero_is_declared(tmp_path: Path) -> None:
    parsed = read(tmp_path, rows(*reads("3", "5.5", "0.5", "2", "0")), **declared(resets="to_zero"))
    assert values(parsed) == [Decimal("2.5"), Decimal("0.5"), Decimal("1.5"), 0]
    assert parsed.readings["reason_code"].to_pylist() == ["DIFFERENCE", "RESET", "DIFFERENCE", "RESET"]


def test_a_dial_that_passes_its_last_digit_is_declared(tmp_path: Path) -> None:
    parsed = read(tmp_path, rows(*reads("99998", "99999.5", "1", "3")), **declared(digits=5))
    assert values(parsed) == [Decimal("1.5"), Decimal("1.5"), 2]
    back = read(tmp_path, rows(*reads("60000", "20000", "20001")), **declared(digits=5))
    assert (values(back), rejections(back)) == ([Decimal("1")], [(3, "ROW-DIAL")])


def test_two_reads_of_one_time(tmp_path: Path) -> None:
    same = rows(*reads(1, 2), *reads(1, 2), *reads(1, 2, 4)[2:])
    assert values(read(tmp_path, same, **declared())) == [1, 2]
    account(read(tmp_path, same, **declared()), 5)
    other = read(tmp_path, rows(*reads(1, 2), *reads(1, 3)), **declared())
    assert rejections(other) == [(5, "ROW-DIAL")]
    account(other, 4)


def test_the_worse_quality_of_the_two_reads_counts(tmp_path: Path) -> None:
    text = rows(
        *(f"{line},{flag}" for line, flag in zip(reads(1, 2, 3, 4), "AEAA", strict=True)),
        header="meter,time,kWh,flag",
    )
    parsed = read(
        tmp_path,
        text,
        **declared(),
        columns=READING["columns"] | {"quality": "flag"},
        qualities={"A": "actual", "E": "estimated"},
    )
    assert parsed.readings["quality"].to_pylist() == ["estimated", "estimated", "actual"]


def test_reads_go_to_the_register_reads_once_a_day(tmp_path: Path) -> None:
    lines = [f"M,2024-01-{1 + n // 24:02} {n % 24:02}:00,{1000 + n}" for n in range(72)]
    parsed = read(tmp_path, rows(*lines), **(declared() | {"timezone": "Etc/GMT"}))
    kept = parsed.register_reads.to_pylist()
    assert [(f"{row['read_at']:%d %H}", row["value"], row["digits"]) for row in kept] == [
        ("01 00", 1000, 4),
        ("02 00", 1024, 4),
        ("03 00", 1048, 4),
        ("03 23", 1071, 4),
    ]
    assert {(row["serial_number"], row["multiplier"], row["unit"]) for row in kept} == {("M", 1, "kWh")}


@pytest.mark.parametrize("label", ["end", "wall_end", "start", None])
def test_a_read_is_at_the_time_of_its_row_with_each_label(tmp_path: Path, label: str | None) -> None:
    parsed = read(tmp_path, rows(*reads(1, 2)), **(declared() | {"label": label}))
    assert starts(parsed) == ["12-31 23:00"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resets": "to_zero", "cumulative": False}, "cumulative: true"),
        ({"resets": "to_zero", "digits": 5}, "not both"),
        ({"negative": "export"}, "neither average_power nor negative"),
        ({"sign": -1}, "neither average_power nor negative"),
    ],
)
def test_the_fields_of_a_dial_are_checked(change: dict[str, Any], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        mapping(READING, **declared(**change))


def test_a_dial_beside_the_energy_of_its_channel_is_refused() -> None:
    energy = {"column": "used", "channel": "import", "unit": "kWh"}
    with pytest.raises(MappingError, match="count the same thing"):
        mapping(READING, values=[DIAL, energy])
    assert mapping(READING, values=[DIAL | {"channel": "export"}, energy]).values[0].cumulative


def test_the_reads_in_memory_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped_dials, "MAX_READS", 3)
    with pytest.raises(RefusedFile, match="FILE-TOO-LARGE"):
        read(tmp_path, rows(*reads(1, 2, 3, 4)), **declared())


CASES = {
    "01-dial-with-plateaus": (
        {"columns": {"timestamp": "Time"}, "timestamp_format": "%Y-%m-%d %H:%M:%S", "interval_minutes": 60},
        {"kWh.first": ("import", "22")},
        ("2026-02-13T11:00:00Z", "2026-02-15T10:00:00Z"),
    ),
    # The file ends with the last quarter-hour, or with the midnight after it.
    "03-four-dials-quarter-hours": (
        {"columns": {"timestamp": "time"}, "interval_minutes": 15},
        {
            "Import T1 kWh": ("import", "7.441"),
            "Import T2 kWh": ("import", "12.548"),
            "Export T1 kWh": ("export", "0"),
            "Export T2 kWh": ("export", "5.774"),
        },
        ("2022-08-31T22:00:00Z", "2022-09-01T21:45:00Z"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_dials_of_portals(samples: Path, name: str) -> None:
    fields, columns, (first, last) = CASES[name]
    found = mapping(
        READING,
        **(HOURLY | fields),
        identifier="M",
        values=[DIAL | {"column": column, "channel": channel} for column, (channel, _) in columns.items()],
    )
    document = inspect(samples / "cases" / name / "input.csv", mapping=found)
    assert {c["register"]: (c["channel"], c["total"]) for c in document["channels"]} == columns
    assert {(c["first"], c["last"]) for c in document["channels"]} == {(first, last)}
    assert document["rejected"] == []


def test_reads_that_are_the_same_energy_are_not_summed(tmp_path: Path) -> None:
    text = rows(*reads(*(28_480 + n // 3 for n in range(24))))
    total = pc.sum(read(tmp_path, text, **declared()).readings["value"]).as_py()
    assert total == 28_480 + 23 // 3 - 28_480
