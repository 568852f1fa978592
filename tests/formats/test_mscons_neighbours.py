"""MSCONS of Switzerland and the Nordic countries: points by name, periods in one text, offsets."""

import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from data.ingest.formats.reading import read_file
from data.ingest.schema import ParsedFile
from tests.formats.mscons_text import UTC, interchange, line, message, quarters, rejections

SWISS = "CH1000000000000000000000000000002"
NORDIC = "735999000000000001"
HOUR = datetime.timedelta(hours=1)
FIRST = datetime.datetime(2024, 2, 1, tzinfo=UTC)
VALUES = [Decimal(number * 7 % 11) / 8 for number in range(96)]


def read(folder: Path, *messages: list[str]) -> ParsedFile:
    path = folder / "values.txt"
    path.write_bytes(interchange(*messages).encode("latin-1"))
    return read_file(path)


def check_day(parsed: ParsedFile, identifier: str, first: datetime.datetime = FIRST) -> None:
    rows = parsed.readings.to_pylist()
    assert [row["value"] for row in rows] == VALUES
    assert {row["identifier"] for row in rows} == {identifier}
    assert [row["reading_ts"] for row in rows] == [
        first + n * datetime.timedelta(minutes=15) for n in range(96)
    ]
    assert parsed.rejected.num_rows == 0


@pytest.mark.parametrize("place", [f"::87:{SWISS}", f":::{SWISS}", SWISS, f"{SWISS}::87:Roof"])
def test_a_point_is_named_by_its_code_or_by_its_name(tmp_path: Path, place: str) -> None:
    check_day(read(tmp_path, message(*line(*quarters(*VALUES)), point=place)), SWISS)


def test_a_value_without_a_point_or_a_product_is_rejected_by_what_it_lacks(tmp_path: Path) -> None:
    parsed = read(
        tmp_path,
        message(*line(*quarters(1, 2))),
        message(*line(*quarters(1)), point="::87", number=2),
        message("LIN+1", *quarters(1), number=3),
    )
    assert rejections(parsed) == ["ROW-CHANNEL"] * 2
    assert [row["reason"][:27] for row in parsed.rejected.to_pylist()] == [
        "the value has no metering p",
        "the value has no product (P",
    ]


def test_each_value_has_its_period_in_one_text(tmp_path: Path) -> None:
    segments = []
    for number, value in enumerate(VALUES):
        start = FIRST + number * datetime.timedelta(minutes=15)
        end = start + datetime.timedelta(minutes=15)
        segments += [f"QTY+136:{value}:KWH", f"DTM+324:{start:%Y%m%d%H%M}{end:%Y%m%d%H%M}:719"]
    text = message("LIN+1++8716867000030:::9", *segments, point=f"{NORDIC}::9", head=("DTM+735:?+0000:406",))
    parsed = read(tmp_path, text)
    check_day(parsed, NORDIC)
    assert set(parsed.readings["register"].to_pylist()) == {"8716867000030"}


@pytest.mark.parametrize(
    ("offset", "first"),
    [("?+0000", FIRST), ("?+0100", FIRST - HOUR), ("-0200", FIRST + 2 * HOUR)],
)
def test_values_follow_each_other_in_the_period_and_offset_of_their_message(
    tmp_path: Path, offset: str, first: datetime.datetime
) -> None:
    values = [segment for n, v in enumerate(VALUES, 1) for segment in (f"SEQ++{n}", f"QTY+136:{v}")]
    head = [
        "LIN+1++8716867000030:::9",
        "DTM+324:202402010000202402020000:719",
        "DTM+354:15:806",
        "MEA+AAZ++KWH",
    ]
    parsed = read(tmp_path, message(*head, *values, point=NORDIC, head=(f"DTM+735:{offset}:406",)))
    check_day(parsed, NORDIC, first)
    assert set(parsed.readings["unit"].to_pylist()) == {"kWh"}


def test_a_start_and_a_length_suffice(tmp_path: Path) -> None:
    values = [f"QTY+220:{value}" for value in VALUES]
    head = ["LIN+1", "PIA+5+1-1?:1.29.0:SRW", "DTM+163:202402010000?+00:303", "DTM+354:15:806"]
    check_day(read(tmp_path, message(*head, *values, point=f"::87:{SWISS}")), SWISS)
    alone = read(tmp_path, message(*head, values[3], point=SWISS))
    [row] = alone.readings.to_pylist()
    assert (row["value"], row["reading_ts"], row["interval_seconds"]) == (VALUES[3], FIRST, 900)


@pytest.mark.parametrize(
    "period",
    [
        ("DTM+324:202402010000202402020000:719", "DTM+354:30:806"),
        ("DTM+324:202402010000202402012300:719", "DTM+354:15:806"),
        ("DTM+324:2024020120240202:718", "DTM+354:15:806"),
        ("DTM+324:202402010000:203", "DTM+354:15:806"),
        ("DTM+163:202402010000?+00:303", "DTM+354:1:802"),
        ("DTM+354:15:806",),
    ],
)
def test_values_that_do_not_fill_their_period_are_rejected(tmp_path: Path, period: tuple[str, ...]) -> None:
    values = [f"QTY+220:{value}" for value in VALUES]
    other = message(*line(*quarters(1)), number=2)
    parsed = read(tmp_path, message("LIN+1", "PIA+5+1-1?:1.29.0:SRW", *period, *values), other)
    assert parsed.readings.num_rows == 1
    assert rejections(parsed) == ["ROW-TIMESTAMP"] * 96
    assert sum(row["value"] for row in parsed.rejected.to_pylist()) == sum(VALUES)


def test_an_estimate_of_the_nordic_countries_is_known(tmp_path: Path) -> None:
    first, second = "DTM+324:202402010000202402010015:719", "DTM+324:202402010015202402010030:719"
    values = ["QTY+136:1:KWH", first, "QTY+99:2:KWH", second]
    parsed = read(tmp_path, message("LIN+1++8716867000030", *values, head=("DTM+735:?+0000:406",)))
    assert parsed.readings["quality"].to_pylist() == ["actual", "estimated"]
