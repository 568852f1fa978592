"""Day, month and year in proposals: decided by all dates of a file, else left to a person."""

import datetime
from pathlib import Path

import pytest
import yaml

from data.ingest.formats.suggest.date_formats import is_dated
from data.ingest.proposals import propose_mapping

RANGE = "{a:%y-%m-%d %H:%M} - {b:%y-%m-%d %H:%M}"


def propose(
    folder: Path, form: str, days: int, zone: str | None, *, start: str = "2025-06-05", minutes: int = 60
) -> str:
    step = datetime.timedelta(minutes=minutes)
    starts = [datetime.datetime.fromisoformat(start) + step * n for n in range(days * 1440 // minutes)]
    lines = [f"{form.format(a=at, b=at + step)};0,{n % 7 + 1}" for n, at in enumerate(starts)]
    path = folder / "export.csv"
    path.write_text("\n".join(["Zeitraum;Verbrauch (kWh)", *lines, ""]))
    return propose_mapping(path, zone)


@pytest.mark.parametrize(
    ("form", "days", "zone", "expected"),
    [
        (RANGE, 28, None, "%y-%m-%d %H:%M - %*"),
        (RANGE, 2, None, "%y-%m-%d %H:%M - %*"),
        ("{a:%y/%m/%d %H:%M}", 28, None, "%y/%m/%d %H:%M"),
        ("{a:%d-%m-%y %H:%M}", 28, None, "%d-%m-%y %H:%M"),
        ("{a:%d/%m/%Y %H:%M}", 2, None, "%d/%m/%Y %H:%M"),
        ("{a:%m/%d/%Y %H:%M}", 2, None, "%m/%d/%Y %H:%M"),
        ("{a:%d/%m/%Y %H:%M}", 1, "Europe/Dublin", "%d/%m/%Y %H:%M"),
        ("{a:%m/%d/%Y %H:%M}", 1, "America/Chicago", "%m/%d/%Y %H:%M"),
        ("{a:%Y-%m-%d %H:%M}", 1, None, "%Y-%m-%d %H:%M"),
    ],
)
def test_the_dates_or_the_zone_decide(
    tmp_path: Path, form: str, days: int, zone: str | None, expected: str
) -> None:
    proposal = propose(tmp_path, form, days, zone)
    assert f'timestamp_format: "{expected}"' in proposal
    assert "from 2025-06-0" in proposal.split("Read by this proposal")[1]


@pytest.mark.parametrize(
    ("form", "zone"),
    [
        (RANGE, None),
        (RANGE, "Europe/Berlin"),
        ("{a:%y/%m/%d %H:%M}", "Asia/Tokyo"),
        ("{a:%d/%m/%Y %H:%M}", None),
        ("{a:%d/%m/%Y %H:%M}", "UTC"),
    ],
)
def test_dates_of_one_day_that_fit_several_formats_are_left_to_a_person(
    tmp_path: Path, form: str, zone: str | None
) -> None:
    proposal = propose(tmp_path, form, 1, zone)
    assert "timestamp_format:  # the dates fit several formats, write" in proposal
    assert "with a word for the trial in" in proposal and "timestamp_format:" in proposal


def test_a_date_in_the_future_is_none(tmp_path: Path) -> None:
    assert 'timestamp_format: "%d-%m-%y %H:%M"' in propose(
        tmp_path, "{a:%d-%m-%y %H:%M}", 1, None, start="2009-03-31"
    )


def test_dates_of_many_rows_are_looked_at_from_the_first_to_the_last(tmp_path: Path) -> None:
    """More than two thousand minutes pass before a day tells day and month apart."""
    proposal = propose(tmp_path, "{a:%d/%m/%Y %H:%M}", 10, None, minutes=1)
    assert 'timestamp_format: "%d/%m/%Y %H:%M"' in proposal


GERMAN, JAPANESE = ("Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"), "月火水木金土日"
FINNISH = ("tammi", "helmi", "maalis", "huhti", "touko", "kesä")


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("{german}, {a:%d.%m.%Y %H:%M}", "%a, %d.%m.%Y %H:%M"),
        ("{a:%d.%m.%Y %H:%M} Uhr", "%d.%m.%Y %H:%M Uhr"),
        ("{german}, {a.day}. Juni {a.year} um {a:%H:%M} Uhr", "%a, %d. %b %Y um %H:%M Uhr"),
        ("{a:%A, %B %d, %Y %I:%M %p}", "%a, %b %d, %Y %I:%M %p"),
        ("{a:%a %b %d %Y %H:%M}", "%a %b %d %Y %H:%M"),
        ("{a:%d/%m/%Y (%a) %H:%M}", "%d/%m/%Y (%a) %H:%M"),
        ("{a:%B %d, %Y at %I:%M %p}", "%b %d, %Y at %I:%M %p"),
        ("{a.year}年{a.month}月{a.day}日 {a.hour}時{a:%M}分", "%Y年%m月%d日 %H時%M分"),
        ("{a:%Y/%m/%d}({japanese}) {a:%H:%M}", "%Y/%m/%d(%a) %H:%M"),
        ("{a.year}. {a.month}. {a.day}. {a:%H:%M}", "%Y. %m. %d. %H:%M"),
        ("{a:%d.%m.%Y} kl. {a:%H.%M}", "%d.%m.%Y kl. %H.%M"),
        ("{a.day}. {finnish}kuuta {a.year} klo {a:%H.%M}", "%d. %b %Y klo %H.%M"),
        ("{a:%d/%m/%Y} à {a:%H:%M}", "%d/%m/%Y à %H:%M"),
        ("{a:%d-%m-%Y %H:%M} uur", "%d-%m-%Y %H:%M uur"),
        ("{a:%a %b %d %Y %H:%M:%S} GMT+0000 (Western Time)", "%a %b %d %Y %H:%M:%S %z %*"),
    ],
)
def test_words_around_a_time_are_part_of_its_format(tmp_path: Path, written: str, form: str) -> None:
    step = datetime.timedelta(minutes=15)
    starts = [datetime.datetime(2025, 6, 13) + step * n for n in range(4 * 96)]
    lines = []
    for n, at in enumerate(starts):
        names = {"german": GERMAN[at.weekday()], "japanese": JAPANESE[at.weekday()], "finnish": FINNISH[5]}
        lines.append(f"{written.format(a=at, **names)}\t0.{n % 7 + 1}")
    path = tmp_path / "export.txt"
    path.write_text("\n".join(["Time\tUsage (kWh)", *lines, ""]))
    proposal = propose_mapping(path, "UTC")
    assert yaml.safe_load(proposal)["timestamp_format"] == form
    result = proposal.split("Read by this proposal")[1]
    assert "384 intervals" in result and "from 2025-06-13T00:00" in result.replace(" 00:00", "T00:00"), result


@pytest.mark.parametrize("text", ["Summe 12", "Mo 12", "Stand: 01.01.2025", "Total 14/06/2025"])
def test_a_line_about_the_table_is_no_date(text: str) -> None:
    assert not is_dated(text)
