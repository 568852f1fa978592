"""What contradicts a mapping is seen in all rows of a table, also behind its first blocks."""

import datetime
import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats import container
from tests.formats.mapped_csv_text import READING, read, rows, values

Line = Sequence[object]
START = datetime.datetime(2024, 1, 1)
NAMES = ["c1", "c2", "c3"]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "READ_BYTES", 1 << 12)


def draw(count: int, seed: str, most: int = 900) -> list[Decimal]:
    chance = random.Random(seed)
    return [Decimal(chance.randrange(1, most)) / 1000 for _ in range(count)]


def write(
    lines: Sequence[Line], form: str = "%Y-%m-%d %H:%M", minutes: int = 30, meters: Sequence[str] = ("M",)
) -> str:
    """Write rows of regular times, one of each meter in turn."""
    found = []
    for number, line in enumerate(lines):
        place, own = divmod(number, len(meters))
        at = START + datetime.timedelta(minutes=minutes * place)
        found.append(",".join([meters[own], f"{at:{form}}", *map(str, line)]))
    return rows(*found, header=",".join(["meter", "time", *NAMES[: len(lines[0])]]))


def declare(*columns: str) -> dict[str, Any]:
    return {"values": [{"column": name, "channel": "import", "unit": "kWh"} for name in columns]}


def refused(folder: Path, text: str, **more: Any) -> RefusedFile:
    with pytest.raises(RefusedFile) as refusal:
        read(folder, text, **more)
    assert refusal.value.line
    return refusal.value


def add_up(number: int, a: Decimal, b: Decimal) -> Line:
    return [a, b, a + b if number >= 600 else 0]


SUMS: dict[str, Callable[[int, Decimal, Decimal], Line]] = {
    "zero before": add_up,
    "empty before": lambda n, a, b: [a, b, a + b] if n >= 600 else [a, b, ""],
    "other energy before": lambda n, a, b: [a + b if n >= 600 else a * 3 + b / 8, a, b],
    "for some days": lambda n, a, b: [a, b, a + b if 500 <= n < 600 else b * 2 + a / 8],
    "the same": lambda n, a, b: [a, b, a if n >= 600 else b * 2 + a / 8],
    "rounded": lambda n, a, b: [a, b, round(a + b if n >= 600 else a / 8, 2)],
}


@pytest.mark.parametrize("name", SUMS)
def test_a_sum_that_begins_behind_the_first_rows_is_refused(tmp_path: Path, name: str) -> None:
    pairs = zip(draw(900, "a"), draw(900, "b"), strict=True)
    text = write([SUMS[name](n, a, b) for n, (a, b) in enumerate(pairs)])
    found = refused(tmp_path, text, **declare(*NAMES))
    assert found.rule == "MAP-SUM" and found.line is not None and found.line > 300
    assert read(tmp_path, text, **declare("c1")).readings.num_rows == 900


def test_a_sum_of_one_of_two_meters_is_refused(tmp_path: Path) -> None:
    lines = [
        [a, b, a + b if n % 2 and n > 600 else a * 2 + b / 8]
        for n, (a, b) in enumerate(zip(draw(1200, "a"), draw(1200, "b"), strict=True))
    ]
    found = refused(tmp_path, write(lines, meters=("M", "N")), **declare(*NAMES))
    assert found.rule == "MAP-SUM"


@pytest.mark.parametrize("most", [3, 12, 900])
def test_sums_by_chance_are_read(tmp_path: Path, most: int) -> None:
    """Few different values often add up, and parts that stand still are no parts."""
    columns = [draw(2000, name, most) for name in NAMES]
    columns[1] = [value if n % 5 == 0 else Decimal(0) for n, value in enumerate(columns[1])]
    parsed = read(
        tmp_path, write(list(zip(*columns, strict=True)), minutes=15), interval_minutes=15, **declare(*NAMES)
    )
    assert sum(values(parsed)) == sum(map(sum, columns))


def test_hours_behind_quarter_hours_in_a_column_are_refused(tmp_path: Path) -> None:
    energy = draw(1600, "quarters")
    lines = [[value if n < 800 or n % 4 == 0 else ""] for n, value in enumerate(energy)]
    found = refused(tmp_path, write(lines, minutes=15), interval_minutes=15, **declare("c1"))
    assert found.rule == "MAP-INTERVAL"


def test_totals_of_the_days_of_a_later_meter_are_refused(tmp_path: Path) -> None:
    house, flat = write([[value] for value in draw(480, "house")]), [[value] for value in draw(48, "flat")]
    text = (
        house
        + write(flat, meters=("N",)).split("\n", 1)[1]
        + f"N,2024-01-01 00:00,{sum(v for (v,) in flat)}\n"
    )
    found = refused(tmp_path, text, **declare("c1"))
    assert (found.rule, found.line) == ("MAP-SUM", text.count("\n"))


def test_marks_between_thousands_are_seen_in_all_rows(tmp_path: Path) -> None:
    numbers = [300 + n * 7 % 690 for n in range(600)] + [1000 + n * 7 % 300 for n in range(100)]
    text = write([[f"{n:,}".replace(",", ".")] for n in numbers])
    assert refused(tmp_path, text, **declare("c1")).rule == "MAP-THOUSANDS"
    # A decimal far below shows that the mark is one.
    text = write([[f"{n:,}".replace(",", ".")] for n in numbers] + [["0.5"]])
    assert read(tmp_path, text, **declare("c1")).readings.num_rows == 701


MISTAKEN = {
    # How the file writes its dates, how the mapping reads them, and the days of the file.
    "two months": ("%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", 60),
    "twelve days": ("%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", 12),
    "two days": ("%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", 2),
    "year first": ("%y-%m-%d %H:%M", "%d-%m-%y %H:%M", 28),
    "year last": ("%d.%m.%y %H:%M", "%y.%m.%d %H:%M", 28),
    "american years": ("%m/%d/%y %H:%M", "%d/%m/%y %H:%M", 200),
}


@pytest.mark.parametrize("name", MISTAKEN)
def test_dates_in_another_order_are_refused(tmp_path: Path, name: str) -> None:
    written, declared, days = MISTAKEN[name]
    text = write([[value] for value in draw(24 * days, "dates")], written, 60)
    fields: dict[str, Any] = {"interval_minutes": 60, **declare("c1")}
    assert refused(tmp_path, text, **fields, timestamp_format=declared).rule == "MAP-DATES"
    assert read(tmp_path, text, **fields, timestamp_format=written).readings.num_rows >= 24 * days - 2


@pytest.mark.parametrize("form", ["%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d-%m-%y %H:%M", "%y-%m-%d %H:%M"])
@pytest.mark.parametrize("days", [1, 2, 12, 40])
def test_dates_in_the_declared_order_are_read(tmp_path: Path, form: str, days: int) -> None:
    lines = [[value] for value in draw(24 * days, "dates")]
    parsed = read(
        tmp_path,
        write(lines, form, 60),
        interval_minutes=60,
        timestamp_format=form,
        timezone="UTC",
        **declare("c1"),
    )
    assert sum(values(parsed)) == sum(value for (value,) in lines)


def test_a_block_of_dates_that_begins_below_is_refused(tmp_path: Path) -> None:
    lines = [
        [
            "1",
            f"{START + datetime.timedelta(days=90, minutes=30 * n):%Y-%m-%d %H:%M}" if n > 600 else "",
            value,
        ]
        for n, value in enumerate(draw(900, "block"))
    ]
    assert refused(tmp_path, write(lines), **declare("c3")).rule == "MAP-BLOCK"


def test_a_row_of_running_sums_below_the_first_days_is_refused(tmp_path: Path) -> None:
    lines = []
    for day in range(60):
        hours = draw(24, f"day {day}")
        cells = hours if day < 40 else [sum(hours[: n + 1], Decimal(0)) for n in range(24)]
        lines.append(f"M,{START + datetime.timedelta(day):%Y-%m-%d}," + ",".join(map(str, cells)))
    text = rows(*lines, header=",".join(["meter", "day", *(f"h{n}" for n in range(1, 25))]))
    run = {"first": "h1", "last": "h24", "channel": "import", "unit": "kWh", "clock_change": "elapsed"}
    fields: dict[str, Any] = {
        "columns": {"identifier": "meter", "date": "day"},
        "date_format": "%Y-%m-%d",
        "interval_minutes": 60,
        "timestamp_format": None,
        "label": None,
        "values": [],
        "timezone": "UTC",
    }
    assert refused(tmp_path, text, **fields, day=run).rule == "MAP-DIAL"


@pytest.mark.parametrize("shape", ["a date each", "one date", "until the last minute", "ends first"])
def test_totals_are_seen_by_an_end_in_two_columns(tmp_path: Path, shape: str) -> None:
    """Date and time stand in columns of their own; the totals of days among the intervals are rejected."""
    energy, lines, days = draw(384, "ends"), [], datetime.timedelta(days=1)
    for n, value in enumerate(energy):
        start = START + datetime.timedelta(minutes=15 * n)
        spans = [(start, start + datetime.timedelta(minutes=15), value)]
        if n % 96 == 95:
            midnight = start.replace(hour=0, minute=0)
            spans.append((midnight, midnight + days, sum(energy[n - 95 : n + 1], Decimal(0))))
        for begin, end, amount in spans:
            last = end - datetime.timedelta(minutes=1) if shape == "until the last minute" else end
            cells = [f"{begin:%d.%m.%Y}", f"{begin:%H:%M}", f"{last:%d.%m.%Y}", f"{last:%H:%M}", str(amount)]
            if shape == "one date":
                cells[2] = ""
            if shape == "ends first":
                cells = [*cells[2:4], *cells[:2], cells[4]]
            lines.append(",".join(["M", *cells]))
    names = ["from date", "from time", "to date", "to time"]
    header = ",".join(["meter", *(names[2:] + names[:2] if shape == "ends first" else names), "kWh"])
    parsed = read(
        tmp_path,
        rows(*lines, header=header),
        READING | {"timestamp_format": None},
        interval_minutes=15,
        date_format="%d.%m.%Y",
        time_format="%H:%M",
        columns={"identifier": "meter", "date": "from date", "time": "from time"},
    )
    assert [row["rule"] for row in parsed.rejected.to_pylist()] == ["ROW-LENGTH"] * 4
    assert sum(values(parsed)) == sum(energy)
