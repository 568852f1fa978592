"""The history of Sydney: no gap or overlap with the ordinary files; one exchanged meter."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg
import pytest

from data.demo import DemoScope, apply_company, generate_files, generate_history
from data.demo.company import DemoProperty
from data.demo.history import START
from data.demo.physics import simulate_energy
from data.ingest.readings.load import ingest_file
from tests.demo.conftest import read_nem12

EXCHANGE = date(2025, 6, 16)


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> DemoScope:
    """Four days around the exchange of a meter."""
    out = tmp_path_factory.mktemp("history")
    return generate_history(out, start=EXCHANGE - timedelta(days=2), end=EXCHANGE + timedelta(days=2))


def test_each_meter_has_the_energy_of_its_days(exchange: DemoScope, sites: dict[str, DemoProperty]) -> None:
    """Compare physics with nemreader. The exchange is at midnight of the file and of the local day."""
    (file,) = exchange.files
    rows = read_nem12(file.path)
    assert len(rows) == file.readings == exchange.readings
    series = simulate_energy(sites["sydney"], date(2025, 6, 14), date(2025, 6, 17))
    unit_102 = rows[rows["identifier"].isin(["6DEM000005", "6DEM000905"])].sort_values("reading_ts")
    assert unit_102["energy_wh"].tolist() == series.loads[2].tolist()
    assert unit_102["identifier"].tolist() == ["6DEM000905"] * 96 + ["6DEM000005"] * 96
    generation = rows[rows["identifier"] == "6DEM000002"].sort_values("reading_ts")
    assert generation["energy_wh"].tolist() == series.generation.tolist()
    by_channel = exchange.expected.groupby("channel")["energy_kwh"].sum() * 1000
    assert by_channel["consumption"] == int(series.loads.sum())
    assert by_channel["export"] == int(series.exported.sum())


def test_it_ends_where_the_ordinary_files_begin(tmp_path: Path) -> None:
    ordinary = generate_files(tmp_path, "small", 5)
    past = generate_history(tmp_path, start=ordinary.start - timedelta(days=3), end=ordinary.start)
    names = sorted(path.name for path in past.files[0].path.parent.iterdir())
    assert names[0] == past.files[0].path.name == "20251104-sydney-history.zip"
    first = [file.path for file in ordinary.list_files("first") if file.format == "nem12"]
    rows = pd.concat(read_nem12(path) for path in (past.files[0].path, *first))
    series = rows.groupby(["identifier", "register"])["reading_ts"]
    assert len(series) == 8
    for _, instants in series:
        steps = np.diff(np.sort(instants.to_numpy())).astype("timedelta64[m]")
        assert set(steps.tolist()) == {timedelta(minutes=30)}


def test_the_year_begins_before_the_first_local_day_of_billing(tmp_path: Path) -> None:
    scope = generate_history(tmp_path)
    days = scope.expected.groupby("reading_date")["readings"].sum()
    assert (scope.start, scope.end) == (START, date(2025, 10, 21))
    # The retired meter is followed by the new one, so there are always eight series.
    assert days[date(2024, 11, 1)] == days[date(2025, 6, 15)] == days[EXCHANGE] == 8 * 48
    assert len(days) == (date(2025, 10, 20) - date(2024, 10, 31)).days + 1
    # The two changes of the clock.
    assert days[date(2025, 4, 6)] == 8 * 50
    assert days[date(2025, 10, 5)] == 8 * 46


@pytest.mark.parametrize(
    ("scale", "end", "message"), [("medium", None, "no history"), ("small", START, "holds no day")]
)
def test_a_request_without_history_is_refused(
    tmp_path: Path, scale: str, end: date | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        generate_history(tmp_path, scale, end=end)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.engine
def test_it_is_ingested_completely(exchange: DemoScope, oltp_dsn: str) -> None:
    apply_company(oltp_dsn)
    (file,) = exchange.files
    result = ingest_file(file.path, tenant=file.tenant, dsn=oltp_dsn)
    assert (result.status, result.accepted, result.quarantined) == ("loaded", file.readings, 0)
    with psycopg.connect(oltp_dsn) as db:
        stored = db.execute(
            "select meter_id::text, channel, reading_date, count(*), sum(value_kwh) "
            "from myproperty.meter_readings where reading_date between '2025-06-01' and '2025-06-30' "
            "group by 1, 2, 3"
        ).fetchall()
    columns = ["meter_id", "channel", "reading_date", "readings", "energy_kwh"]
    assert sorted(stored) == sorted(exchange.expected[columns].itertuples(index=False, name=None))


def test_an_outage_of_the_roof_is_imported_from_the_grid(sites: dict[str, DemoProperty]) -> None:
    site = sites["sydney"]
    assert site.outage is not None
    first, end = site.outage
    series = simulate_energy(site, first - timedelta(days=1), end)
    days = series.starts + np.timedelta64(site.standard_offset_hours, "h")
    is_down = (days >= np.datetime64(first)) & (days < np.datetime64(end))
    assert is_down.sum() == 3 * 48 and series.generation[is_down].sum() == 0
    assert all(
        series.generation[part].sum() > 0
        for part in (days < np.datetime64(first), days >= np.datetime64(end))
    )
    assert (series.imported[is_down] == series.loads[:, is_down].sum(axis=0)).all()


def test_homes_use_most_in_winter(sites: dict[str, DemoProperty]) -> None:
    for place, winter, summer in (("sydney", 7, 1), ("berlin", 1, 7)):
        used = {
            month: simulate_energy(sites[place], date(2025, month, 5), date(2025, month, 25)).loads[1:].sum()
            for month in (winter, summer)
        }
        assert 1.3 < used[winter] / used[summer] < 1.8
