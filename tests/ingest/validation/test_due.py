"""The dates that are due: a day that comes by itself ends as if all dates were validated at once."""

import datetime
import random
from pathlib import Path
from typing import Any

import psycopg
import pytest

from data.ingest.validation.due import find_due_dates
from data.ingest.validation.run import validate
from tests.conftest import DatabaseMaker
from tests.ingest.validation.sites import Site

pytestmark = pytest.mark.engine

METERS = ("whole", "gaps", "retired", "new")
FIRST, DAYS = datetime.date(2025, 6, 2), 12


def _make_site(dsn: str, name: str, folder: Path) -> Site:
    meters = [
        {"meter": meter, "type": "grid", "timezone": zone, "channel": "import", "interval_seconds": "3600"}
        for meter, zone in zip(METERS, ("UTC", "UTC", "America/New_York", "Asia/Tokyo"), strict=True)
    ]
    site = Site(dsn, name, meters, folder)
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "update myproperty.meters set status = 'retired' where id = %s", (site.ids["retired"],)
        )
    return site


def _make_block(
    site: Site, meter: str, day: int, hours: tuple[int, int], *, value: str = "1.5", load: int = 0
) -> dict[str, Any]:
    """Return a block of the local hours from the first until before the last."""
    offset = {"UTC": "+00:00", "America/New_York": "-04:00", "Asia/Tokyo": "+09:00"}[
        site.meters[meter, "import"]["timezone"]
    ]
    first, end = (
        f"{FIRST + datetime.timedelta(days=day + hour // 24)}T{hour % 24:02}:00{offset}" for hour in hours
    )
    version = f"2025-07-01T00:{load:02}Z"
    row = {"meter": meter, "channel": "import", "from": first, "to": end, "value": value}
    return {**row, "quality": "actual", "version": version}


def _make_day(chance: random.Random, site: Site, day: int, load: int) -> list[dict[str, Any]]:
    """Return what arrives for a day: of a meter with gaps parts of it, of others all hours or none."""
    blocks = []
    for meter in METERS:
        is_there = {"new": day >= DAYS // 2, "retired": day <= DAYS // 2 and chance.random() < 0.7}
        hours = [0, 24] if is_there.get(meter, True) else []
        if meter == "gaps":
            hours = sorted(chance.sample(range(25), chance.choice([0, 2, 4])))
        for span in zip(hours[::2], hours[1::2], strict=True):
            value = chance.choice(["1.5", "1.9"])
            blocks.append(_make_block(site, meter, day, span, value=value, load=load))
    return blocks


def _check_against_all(site: Site) -> None:
    """Validate all dates at once: nothing may change."""
    before = (site.issues(), site.everything())
    last = FIRST + datetime.timedelta(days=DAYS)
    [whole] = validate(site.dsn, tenant=site.name, first=FIRST, last=last)
    assert (whole.estimated, whole.resolved) == (0, 0)
    assert (site.issues(), site.everything()) == before


@pytest.mark.parametrize("seed", range(4))
def test_days_that_come_one_by_one_give_what_all_of_them_give(
    seed: int, oltp_dsn: str, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    site = _make_site(oltp_dsn, f"due {seed}", tmp_path)
    order = list(range(DAYS))
    if seed % 2:  # a day comes after the one that follows it
        late = chance.randrange(1, DAYS - 1)
        order[late], order[late + 1] = order[late + 1], order[late]
    for day in chance.sample(range(1, DAYS), 4):  # a second file, which ends some gaps of its day
        order.insert(chance.randrange(order.index(day) + 1, len(order) + 1), day)
    for load, day in enumerate(order):
        if blocks := _make_day(chance, site, day, load):
            site.load(f"{load}.csv", blocks)
            validate(site.dsn, tenant=site.name)
    _check_against_all(site)


def test_a_day_is_due_again_only_for_what_depends_on_the_next_one(
    migrated_database: DatabaseMaker, tmp_path: Path
) -> None:
    first, second, third = (FIRST + datetime.timedelta(days=day) for day in range(3))
    with migrated_database("due") as dsn:
        site = _make_site(dsn, "parts", tmp_path)

        def load(name: int, *blocks: dict[str, Any]) -> list[datetime.date]:
            site.load(f"{name}.csv", list(blocks))
            due = find_due_dates(dsn)
            validate(dsn, tenant=site.name)
            return due

        assert load(0, _make_block(site, "gaps", 0, (0, 24))) == [first]
        assert load(1, _make_block(site, "gaps", 1, (0, 23))) == [second]
        # The gap at the end of the second day gets its neighbour, then another value of it.
        assert load(2, _make_block(site, "gaps", 2, (0, 24))) == [second, third]
        assert load(3, _make_block(site, "gaps", 2, (0, 24), value="1.9", load=3)) == [second, third]
        _check_against_all(site)
        # A retired meter is due until its last reading.
        assert load(4, _make_block(site, "retired", 1, (0, 20))) == [first, second, third]
        assert load(5, _make_block(site, "retired", 2, (0, 24))) == [second, third]
        _check_against_all(site)


def test_a_date_that_is_validated_is_added_up_anew(migrated_database: DatabaseMaker, tmp_path: Path) -> None:
    totals = "select reading_date, total, intervals, kwh from myproperty.reading_totals order by 1"
    with migrated_database("totals") as dsn:
        site = _make_site(dsn, "totals", tmp_path)
        site.load("0.csv", [_make_block(site, "whole", day, (0, 24)) for day in range(2)])
        validate(dsn, tenant=site.name)
        kept = site.rows(totals)
        assert kept == [(FIRST + datetime.timedelta(days=day), 36.0, 24, 36.0) for day in range(2)]
        with psycopg.connect(dsn) as connection:
            connection.execute("delete from myproperty.reading_totals")
        validate(dsn, tenant=site.name, first=FIRST, last=FIRST)
        assert site.rows(totals) == kept[:1]
