"""Mappings that the content of the table contradicts are refused, and look-alikes are read."""

import datetime
import random
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.compute as pc
import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import MappingError
from data.ingest.inspect import inspect
from tests.formats.mapped_csv_text import READING, mapping, read, rows, values

Lines = Sequence[Sequence[object]]


def draw(seed: str, count: int = 48, columns: int = 2) -> list[list[Decimal]]:
    chance = random.Random(seed)
    return [[Decimal(chance.randrange(1, 900)) / 1000 for _ in range(columns)] for _ in range(count)]


def write(lines: Lines, minutes: int = 30, header: str = "") -> str:
    times = [
        f"2024-01-{1 + n * minutes // 1440:02} {n * minutes // 60 % 24:02}:{n * minutes % 60:02}"
        for n in range(len(lines))
    ]
    names = header or ",".join(["meter", "time", *(f"c{n}" for n in range(1, len(lines[0]) + 1))])
    return rows(
        *(f"M,{time},{','.join(map(str, line))}" for time, line in zip(times, lines, strict=True)),
        header=names,
    )


def declare(*columns: str, channel: str = "import") -> dict[str, Any]:
    return {"values": [{"column": name, "channel": channel, "unit": "kWh"} for name in columns]}


def refused(folder: Path, text: str, **more: Any) -> RefusedFile:
    with pytest.raises(RefusedFile) as refusal:
        read(folder, text, **more)
    return refusal.value


@pytest.mark.parametrize(
    "line",
    [
        lambda a, b: [a, b, a + b],
        lambda a, b: [a + b, a, b],
        lambda a, b: [a, b, round(a + b, 2)],
        lambda a, b: [a, b, a],
        lambda a, b: [a, a / 4, b / 4, b, a + a / 4 + b / 4 + b],
    ],
)
def test_a_sum_beside_its_parts_is_refused(tmp_path: Path, line: Any) -> None:
    lines = [line(*pair) for pair in draw("sum")]
    names = [f"c{n}" for n in range(1, len(lines[0]) + 1)]
    found = refused(tmp_path, write(lines), **declare(*names))
    assert (found.rule, found.line) == ("MAP-SUM", 2)
    parts = [
        name
        for name, *cells in zip(names, *lines, strict=True)
        if sum(cells) != max(map(sum, zip(*lines, strict=True)))
    ]
    assert read(tmp_path, write(lines), **declare(*parts[:1])).readings.num_rows == 48


def test_columns_that_do_not_add_up_are_read(tmp_path: Path) -> None:
    lines = draw("three", columns=3)
    assert sum(values(read(tmp_path, write(lines), **declare("c1", "c2", "c3")))) == sum(map(sum, lines))
    ways = [[a, b, a + b] for a, b in draw("sum")]
    both = declare("c1", "c2")["values"] + declare("c3", channel="consumption")["values"]
    assert read(tmp_path, write(ways), values=both).readings.num_rows == 144


def test_two_columns_of_a_constant_are_read(tmp_path: Path) -> None:
    lines = [[Decimal("0.5"), Decimal("0.5")]] * 48
    assert sum(values(read(tmp_path, write(lines), **declare("c1", "c2")))) == 48


@pytest.mark.parametrize("minutes", [60, 120, 1440])
def test_values_further_apart_than_declared_are_refused(tmp_path: Path, minutes: int) -> None:
    found = refused(tmp_path, write(draw("far", 20, 1), minutes), **declare("c1"))
    assert found.rule == "MAP-INTERVAL"
    assert f"{minutes} minutes apart, but interval_minutes is 30" in found.reason


def test_hours_beside_their_quarters_are_refused(tmp_path: Path) -> None:
    quarters = [line[0] for line in draw("quarters", 96, 1)]
    lines = [[sum(quarters[n : n + 4]) if n % 4 == 0 else "", part] for n, part in enumerate(quarters)]
    text = write(lines, 15)
    assert refused(tmp_path, text, **declare("c1", "c2"), interval_minutes=15).rule == "MAP-INTERVAL"
    assert sum(values(read(tmp_path, text, **declare("c2"), interval_minutes=15))) == sum(quarters)


def test_gaps_and_nights_are_no_other_interval(tmp_path: Path) -> None:
    lines: list[list[Any]] = [[*line] if n % 5 < 2 else [""] for n, line in enumerate(draw("gaps", 96, 1))]
    parsed = read(tmp_path, write(lines), **declare("c1"))
    assert pc.sum(parsed.readings["value"]).as_py() == sum(line[0] for line in lines if line[0] != "")


@pytest.mark.parametrize("header", ["meter,time,a,time,b", "meter,From,kWh (A),From.1,kWh (B)"])
def test_a_value_beside_the_dates_of_another_block_is_refused(tmp_path: Path, header: str) -> None:
    cells = draw("blocks")
    text = rows(
        *(
            f"M,2024-01-{1 + n // 24:02} {n % 24:02}:00,{a},2024-02-{1 + n // 24:02} {n % 24:02}:00,{b}"
            for n, (a, b) in enumerate(cells)
        ),
        header=header,
    )
    block = {"column": 5, "channel": "import", "unit": "kWh", "register": "b"}
    first = block | {"column": 3, "register": "a"}
    own: dict[str, Any] = {"interval_minutes": 60, "columns": {"identifier": "meter", "timestamp": 2}}
    found = refused(tmp_path, text, **own, values=[first, block])
    assert found.rule == "MAP-BLOCK" and "column 4 has dates of its own" in found.reason
    assert sum(values(read(tmp_path, text, **own, values=[first]))) == sum(a for a, _ in cells)
    own["columns"] = {"identifier": "meter", "timestamp": 4}
    assert sum(values(read(tmp_path, text, **own, values=[block]))) == sum(b for _, b in cells)


def test_the_end_of_an_interval_is_not_another_block(tmp_path: Path) -> None:
    hours = [f"2024-01-{1 + n // 24:02} {n % 24:02}:00" for n in range(73)]
    lines = (f"M,{hours[n]},{hours[n + 1]},2024-03-01 10:00,1" for n in range(72))
    text = rows(*lines, header="meter,time,end,exported at,kWh")
    assert sum(values(read(tmp_path, text, interval_minutes=60))) == 72


def test_hours_and_quarter_hours_side_by_side(samples: Path) -> None:
    path = samples / "cases" / "06-hour-and-quarter-side-by-side" / "input.csv"
    fields: dict[str, Any] = {
        "identifier": "70000001",
        "timezone": "America/Chicago",
        "timestamp_format": "%m/%d/%Y %H:%M",
        "columns": {"timestamp": 1},
    }
    hour, quarter = (
        {"column": column, "channel": "import", "unit": "kWh", "register": str(column)} for column in (3, 6)
    )
    for chosen, minutes, count in (([quarter], 15, 96), ([hour], 60, 24)):
        document = inspect(path, mapping=mapping(READING, **fields, values=chosen, interval_minutes=minutes))
        (channel,) = document["channels"]
        assert (channel["total"], channel["first"]) == ("40.617", "2024-03-30T05:00:00Z")
        assert channel["quality"]["actual"] == count
    for chosen in ([hour], [hour, quarter]):
        found = mapping(READING, **fields, values=chosen, interval_minutes=15)
        assert inspect(path, mapping=found)["refusal"]["rule"] == "MAP-INTERVAL"
    found = mapping(READING, **fields, values=[hour, quarter], interval_minutes=60)
    assert inspect(path, mapping=found)["status"] == "refused"


@pytest.mark.parametrize("is_reversed", [False, True])
def test_reads_of_a_dial_that_are_declared_as_energy_are_refused(tmp_path: Path, is_reversed: bool) -> None:
    steps = [step for (step,) in draw("dial", 60, 1)]
    reads = [[8350 + sum(steps[:n])] for n in range(61)]
    text = write(reads)
    if is_reversed:
        header, *lines = text.splitlines()
        text = rows(*lines[::-1], header=header)
    found = refused(tmp_path, text, **declare("c1"))
    assert found.rule == "MAP-DIAL" and "cumulative: true" in found.remedy
    with pytest.raises(RefusedFile, match="MAP-DIAL"):
        # Two meters in turn, each with its dial.
        lines = text.split("\n")
        both = [lines[0], *(row for line in lines[1:-1] for row in (line, line.replace("M,", "N,")))]
        read(tmp_path, "\n".join([*both, ""]), **declare("c1"))
    assert read(tmp_path, text, **declare("c1", channel="other")).readings.num_rows == 61


def test_energy_that_rises_for_a_day_is_read(tmp_path: Path) -> None:
    ramp = [[Decimal(n) / 10] for n in range(48)]
    assert sum(values(read(tmp_path, write(ramp), **declare("c1")))) == sum(n for (n,) in ramp)


@pytest.mark.parametrize("place", [0, 23])
@pytest.mark.parametrize("days", [1, 3])
def test_totals_of_days_under_a_time_of_an_interval_are_refused(
    tmp_path: Path, place: int, days: int
) -> None:
    lines = draw("totals", 24 * days, 1)
    text = write(lines, 60)
    for day in range(days):
        total = sum(line[0] for line in lines[24 * day : 24 * day + 24])
        text += f"M,2024-01-{1 + day:02} {place:02}:00,{total}\n"
    found = refused(tmp_path, text, **declare("c1"), interval_minutes=60)
    assert (found.rule, found.line) == ("MAP-SUM", 2 + 24 * days)


FORMS = {
    # The format, the time of the mapping and the other end, and the last moment of an interval.
    "begin and end": ("%Y-%m-%d %H:%M", "start", 0),
    "until the last second": ("%d.%m.%Y %H:%M:%S", "start", 1),
    "until the last minute": ("%d.%m.%Y %H:%M", "start", 60),
    "the end is the time": ("%Y-%m-%d %H:%M", "end", 0),
}


@pytest.mark.parametrize("where", ["before", "behind"])
@pytest.mark.parametrize("name", FORMS)
def test_totals_of_days_between_intervals_are_rejected(tmp_path: Path, name: str, where: str) -> None:
    form, label, inclusive = FORMS[name]
    energy = [line[0] for line in draw("totals", 192, 1)]

    def write_row(first: int, count: int, value: Decimal) -> str:
        start = datetime.datetime(2024, 1, 10) + datetime.timedelta(minutes=15 * first)
        end = start + datetime.timedelta(minutes=15 * count, seconds=-inclusive)
        return f"M,{start:{form}},{end:{form}},{value}"

    lines = []
    for day in (0, 96):
        own = [write_row(n, 1, energy[n]) for n in range(day, day + 96)]
        total = write_row(day, 96, sum(energy[day : day + 96], Decimal(0)))
        lines += [total, *own] if where == "before" else [*own, total]
    time = "end" if label == "end" else "start"
    parsed = read(
        tmp_path,
        rows(*lines, header="meter,start,end,kWh"),
        interval_minutes=15,
        timestamp_format=form,
        label=label,
        columns={"identifier": "meter", "timestamp": time},
    )
    assert [row["rule"] for row in parsed.rejected.to_pylist()] == ["ROW-LENGTH"] * 2
    assert (parsed.readings.num_rows, sum(values(parsed))) == (192, sum(energy))


def test_the_other_end_of_the_hour_of_a_clock_change_is_no_other_length(tmp_path: Path) -> None:
    start = datetime.datetime(2024, 10, 26, 22, tzinfo=datetime.UTC)
    zone = ZoneInfo("Europe/London")
    instants = [start + datetime.timedelta(minutes=30 * n) for n in range(48)]
    ends = [at + datetime.timedelta(minutes=30) for at in instants]
    lines = [
        f"M,{at.astimezone(zone):%Y-%m-%d %H:%M},{end.astimezone(zone):%Y-%m-%d %H:%M},1"
        for at, end in zip(instants, ends, strict=True)
    ]
    parsed = read(
        tmp_path,
        rows(*lines, header="meter,start,end,kWh"),
        label="start",
        columns={"identifier": "meter", "timestamp": "start"},
    )
    assert (parsed.readings.num_rows, parsed.rejected.num_rows) == (48, 0)


DAY_ROWS: dict[str, Any] = {
    "columns": {"identifier": "meter", "date": "day"},
    "date_format": "%Y-%m-%d",
    "interval_minutes": 60,
    "timestamp_format": None,
    "label": None,
    "values": [],
}


def write_days(lines: Lines) -> str:
    """Write a row for each day: the cells of a line are its hours and what stands behind them."""
    names = [f"h{n}" for n in range(1, len(lines[0]) + 1)]
    return rows(
        *(f"M,2024-01-{n:02},{','.join(map(str, line))}" for n, line in enumerate(lines, 1)),
        header=",".join(["meter", "day", *names]),
    )


def day_run(first: str, last: str) -> dict[str, Any]:
    run = {"first": first, "last": last, "channel": "import", "unit": "kWh", "clock_change": "elapsed"}
    return {**DAY_ROWS, "day": run}


@pytest.mark.parametrize(
    ("first", "last", "rule"), [("h1", "h24", ""), ("h1", "h25", "MAP-SUM"), ("h2", "h25", "MAP-SUM")]
)
def test_the_total_of_a_row_is_no_interval_of_its_day(
    tmp_path: Path, first: str, last: str, rule: str
) -> None:
    days = [[value for (value,) in draw(f"day {n}", 24, 1)] for n in range(5)]
    text = write_days([[*day, sum(day)] for day in days])
    if rule:
        assert refused(tmp_path, text, **day_run(first, last)).rule == rule
    else:
        assert sum(values(read(tmp_path, text, **day_run(first, last)))) == sum(map(sum, days))


@pytest.mark.parametrize("begins", [0, 7000])
def test_a_row_of_reads_or_of_running_sums_is_no_energy(tmp_path: Path, begins: int) -> None:
    lines, total = [], Decimal(begins)
    for n in range(4):
        line = []
        for (value,) in draw(f"dial {n}", 24, 1):
            total += value
            line.append(total)
        lines.append(line)
        total = total if begins else Decimal(0)
    assert refused(tmp_path, write_days(lines), **day_run("h1", "h24")).rule == "MAP-DIAL"


def test_a_mark_between_thousands_is_no_decimal_mark(tmp_path: Path) -> None:
    lines = [[f"{n:,}".replace(",", ".")] for n in range(900, 1100)]
    random.Random("thousands").shuffle(lines)
    assert refused(tmp_path, write(lines), **declare("c1")).rule == "MAP-THOUSANDS"
    assert 900 in values(read(tmp_path, write(lines), decimals=3, **declare("c1")))
    assert sum(values(read(tmp_path, write(lines), decimal=",", thousands=".", **declare("c1")))) == sum(
        range(900, 1100)
    )


@pytest.mark.parametrize(
    ("shape", "form"),
    [("0{}/02/2024 {:02}:00", "%m/%d/%Y %H:%M"), ("24-02-0{} {:02}:00", "%d-%m-%y %H:%M")],
)
def test_days_a_month_or_a_year_apart_are_mistaken(tmp_path: Path, shape: str, form: str) -> None:
    text = rows(
        *(f"M,{shape.format(day, hour)},{hour}.5" for day in range(1, 8) for hour in range(24)),
        header="meter,time,c1",
    )
    found = refused(tmp_path, text, interval_minutes=60, timestamp_format=form, **declare("c1"))
    assert found.rule == "MAP-DATES"


@pytest.mark.parametrize(("name", "unit"), [("Energy (Wh)", "kWh"), ("kWh", "Wh"), ("Power kW", "kWh")])
def test_the_name_of_a_column_states_its_unit(name: str, unit: str) -> None:
    value = {"column": name, "channel": "import", "unit": unit}
    with pytest.raises(MappingError, match="states another unit"):
        mapping(READING, values=[value])
    mapping(READING, values=[{**value, "column": 3}])


@pytest.mark.parametrize("at", ["bottom", "top"])
@pytest.mark.parametrize("decimals", [3, 1])
def test_a_total_of_more_rows_than_are_kept_is_refused(tmp_path: Path, at: str, decimals: int) -> None:
    """Its time is one of its own, behind or before those of the rows, as in reports of a year."""
    parts = draw("year", count=20_000, columns=1)
    total = [round(sum((line[0] for line in parts), Decimal(0)), decimals)]
    start = datetime.datetime(2023, 1, 1)
    lines = [*parts, total] if at == "bottom" else [total, *parts]
    texts = [
        f"M,{start + datetime.timedelta(minutes=30 * n):%Y-%m-%d %H:%M},{line[0]}"
        for n, line in enumerate(lines)
    ]
    refusal = refused(tmp_path, rows(*texts), timezone="UTC")
    assert refusal.rule == "MAP-SUM"
    assert refusal.line == (20_002 if at == "bottom" else 2)


@pytest.mark.parametrize("numbers", [[1] * 60, [0] * 30 + [1] * 30, [2**n for n in range(20)], [0] * 60])
def test_rows_that_only_look_like_totals_are_read(tmp_path: Path, numbers: list[int]) -> None:
    parsed = read(tmp_path, write([[n / 1000] for n in numbers]), **declare("c1"))
    assert len(values(parsed)) == len(numbers)
