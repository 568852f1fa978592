"""The demo's files checked against physics, the calendar and the scope, read by other libraries."""

import hashlib
import zipfile
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.demo import DemoScope, generate_files
from data.demo.company import DemoProperty
from data.ingest.rules.sky import solar_elevation_sine


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    first, second = generate_files(tmp_path / "a", "small", 5), generate_files(tmp_path / "b", "small", 5)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert set(digests(tmp_path / "a")) == {
        file.path.relative_to(tmp_path / "a").as_posix() for file in first.files
    }
    pd.testing.assert_frame_equal(first.expected, second.expected)


def test_containers_hold_no_time_of_the_run(scope: DemoScope) -> None:
    (packed,) = (file.path for file in scope.files if file.path.suffix == ".gz")
    assert packed.read_bytes()[4:8] == bytes(4)
    (archive,) = (file.path for file in scope.files if file.path.suffix == ".zip")
    with zipfile.ZipFile(archive) as members:
        assert [member.date_time for member in members.infolist()] == [(1980, 1, 1, 0, 0, 0)]


def test_more_days_change_no_value_of_a_shorter_demo(scope: DemoScope, tmp_path: Path) -> None:
    key = ["meter_id", "channel", "reading_date"]
    short = generate_files(tmp_path, "small", 7)
    whole = short.expected[short.expected["reading_date"] >= short.start]
    both = whole.merge(scope.expected, on=key, how="left", suffixes=("", "_of_30_days"))
    assert len(both) == len(whole) > 0
    assert both["energy_kwh"].eq(both["energy_kwh_of_30_days"]).all()


def test_too_few_days_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 5"):
        generate_files(tmp_path, "small", 4)


def test_all_containers_and_kinds_of_files_exist(scope: DemoScope) -> None:
    assert {file.path.suffix for file in scope.files} == {".csv", ".gz", ".zip"}
    assert {file.format for file in scope.files} == {"nem12", "canonical_csv"}
    assert len({file.tenant for file in scope.files}) == 2
    for kind in ("late", "revised", "bad_rows"):
        assert len(scope.list_files(kind)) == 1


def test_later_files_sort_after_the_first_files_of_their_tenant(scope: DemoScope) -> None:
    for tenant in {file.tenant for file in scope.files}:
        files = sorted(
            (file for file in scope.files if file.tenant == tenant), key=lambda file: file.path.name
        )
        is_first = [file.kind == "first" for file in files]
        assert is_first == sorted(is_first, reverse=True)


def test_the_scope_counts_the_rows_of_every_file(scope: DemoScope, row_counts: dict[str, int]) -> None:
    assert row_counts == {file.path.name: file.readings + file.quarantined for file in scope.files}


def test_the_scope_has_the_totals_of_the_files(scope: DemoScope, readings: pd.DataFrame) -> None:
    read = readings.assign(reading_date=readings["local"].dt.date)
    totals = read.groupby(["serial_number", "channel", "reading_date"])["energy_wh"].agg(["sum", "size"])
    planned = scope.expected.set_index(["serial_number", "channel", "reading_date"])
    assert len(totals) == len(planned)
    joined = planned.join(totals, validate="one_to_one")
    assert (joined["energy_kwh"] * 1000).astype("int64").eq(joined["sum"]).all()
    assert joined["readings"].eq(joined["size"]).all()
    assert scope.readings == len(readings)


def test_energy_balances_in_every_interval(readings: pd.DataFrame) -> None:
    wide = readings.pivot_table(
        index=["property", "reading_ts"], columns="channel", values="energy_wh", aggfunc="sum"
    )
    silent = wide[wide.isna().any(axis=1)]
    assert list(silent["generation"].isna()) == [True] * 4
    assert set(silent.index.get_level_values("property")) == {"berlin"}
    wide = wide.dropna()
    assert (wide["import"] + wide["generation"] == wide["consumption"] + wide["export"]).all()
    assert not ((wide["import"] > 0) & (wide["export"] > 0)).any()
    assert (readings["energy_wh"] >= 0).all()
    for channel in ("import", "export", "generation", "consumption"):
        assert wide[channel].gt(0).groupby("property").any().all()


def test_solar_follows_the_sun(readings: pd.DataFrame) -> None:
    solar = readings[readings["channel"] == "generation"]
    hour = solar["local"].dt.hour
    assert (solar.loc[(hour >= 21) | (hour < 4), "energy_wh"] == 0).all()
    assert (solar.loc[(hour >= 11) & (hour < 13), "energy_wh"] > 0).all()


def test_the_height_of_the_sun_equals_the_reference() -> None:
    """The worked example of I. Reda and A. Andreas, NREL/TP-560-34302: zenith 50.11162 degrees."""
    instant = np.array(["2003-10-17T19:30:30"], dtype="datetime64[s]")
    elevation = np.degrees(np.arcsin(solar_elevation_sine(instant, 39.742476, -105.1786)))
    assert elevation[0] == pytest.approx(90 - 50.11162, abs=0.1)


@pytest.mark.parametrize(
    ("key", "day", "intervals"),
    [
        ("sydney", date(2025, 10, 5), 46),
        ("sydney", date(2025, 10, 6), 48),
        ("berlin", date(2025, 10, 25), 96),
        ("berlin", date(2025, 10, 26), 100),
        ("los-angeles", date(2025, 11, 1), 96),
        ("los-angeles", date(2025, 11, 2), 100),
    ],
)
def test_a_local_day_has_the_intervals_of_its_clock(
    readings: pd.DataFrame, sites: dict[str, DemoProperty], key: str, day: date, intervals: int
) -> None:
    rows = readings[(readings["property"] == key) & (readings["local"].dt.date == day)]
    counts = rows.groupby(["role", "channel"]).size()
    assert set(counts) == {intervals}
    assert len(counts) == sum(len(meter.registers) for meter in sites[key].meters)


def test_the_revised_file_replaces_every_substitute(scope: DemoScope, superseded: pd.DataFrame) -> None:
    (revised,) = scope.list_files("revised")
    assert set(superseded["role"]) == {"solar"}
    assert len(superseded) == revised.changes < revised.readings
    # Too high, never too low: before the revision a day must not export more than it generates.
    assert (superseded["energy_wh_first"] > superseded["energy_wh"]).all()
    assert superseded["local"].dt.date.nunique() == 1


def test_the_late_file_fills_one_day_of_one_meter(scope: DemoScope, readings: pd.DataFrame) -> None:
    (late,) = scope.list_files("late")
    rows = pd.read_csv(late.path)
    day = pd.to_datetime(rows["reading_ts"], utc=True).dt.tz_convert("Europe/Berlin").dt.date
    assert day.nunique() == rows["identifier"].nunique() == 1
    first = pd.read_csv(next(file.path for file in scope.list_files("first") if file.tenant == late.tenant))
    assert first.merge(rows, on=["identifier", "register", "reading_ts"]).empty
    assert len(first) + len(rows) == len(readings[readings["property"] == "berlin"])
