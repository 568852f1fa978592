"""Day, month and year in proposals: decided by all dates of a file, else left to a person."""

import datetime
from pathlib import Path

import pytest

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
