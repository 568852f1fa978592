"""Rules on single readings: each rule, local dates across clock changes, and the energy balance."""

import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest.rules.energy import energy_balance
from data.ingest.rules.judge import judge
from data.ingest.rules.measures import reading_dates, to_kwh
from data.ingest.rules.table import RULES
from data.ingest.schema import PARSED, READING, REGISTERS, REJECTED, Judged, ParsedFile

UTC = datetime.UTC
NOW = datetime.datetime(2026, 1, 1, tzinfo=UTC)
START = datetime.datetime(2024, 2, 1, tzinfo=UTC)
READING_ROW = {
    "line": 2,
    "identifier": "M1",
    "register": "E1",
    "serial_number": None,
    "channel": "import",
    "unit": "kWh",
    "reading_ts": START,
    "interval_seconds": 900,
    "value": Decimal("0.25"),
    "quality": "actual",
    "quality_method": "A",
    "reason_code": None,
    "source_version": START,
}
REGISTER_ROW = {
    "identifier": "M1",
    "register": "E1",
    "meter_id": "m-1",
    "channel": "generation",
    "unit": "kWh",
    "interval_seconds": 900,
    "meter_type": "solar",
    "timezone": "Australia/Sydney",
}


def parsed(*changes: dict[str, object]) -> ParsedFile:
    rows = [READING_ROW | change for change in changes]
    table = pa.Table.from_pylist(rows, schema=PARSED)
    return ParsedFile(Path("f.csv"), "nem12", "0" * 64, table, REJECTED.empty_table(), START)


def verdict(*changes: dict[str, object], **register: object) -> Judged:
    registers = pa.Table.from_pylist([REGISTER_ROW | register], schema=REGISTERS)
    return judge(parsed(*changes), registers, now=NOW)


class CountedRows(dict[tuple[str, str], int]):
    """Counts how often a register is looked up."""

    lookups = 0

    def get(self, key: tuple[str, str], default: int | None = None) -> int | None:  # type: ignore[override]
        self.lookups += 1
        return super().get(key, default)


def test_a_register_is_looked_up_once_for_each_series_of_a_part() -> None:
    """A file may name the register of each meter differently: pairs of all names are too many."""
    row_of = CountedRows()
    rows: list[dict[str, object]] = [{"identifier": f"M{n}", "register": f"R{n}"} for n in range(30)]
    file = parsed(*rows, *rows)
    registers = pa.Table.from_pylist([REGISTER_ROW], schema=REGISTERS)
    judged = judge(file, registers, now=NOW, row_of=row_of)
    assert (row_of.lookups, judged.quarantined.num_rows) == (30, 60)


def test_a_good_reading_takes_meter_channel_and_local_date_from_the_configuration() -> None:
    judged = verdict(
        {"reading_ts": datetime.datetime(2024, 1, 31, 13, 30, tzinfo=UTC), "quality": "estimated"}
    )
    [row] = judged.readings.to_pylist()
    assert judged.readings.schema == READING
    assert (row["meter_id"], row["channel"], row["reading_date"]) == (
        "m-1",
        "generation",
        datetime.date(2024, 2, 1),
    )
    assert (row["value_native"], row["value_kwh"], row["is_estimated"]) == (
        Decimal("0.25"),
        Decimal("0.25"),
        True,
    )
    assert judged.quarantined.num_rows == 0


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"register": "E2"}, "VEE-REGISTER"),
        ({"identifier": "M2"}, "VEE-REGISTER"),
        ({"unit": "Wh"}, "VEE-UNIT"),
        ({"interval_seconds": 1800}, "VEE-INTERVAL"),
        ({"value": Decimal("-0.001")}, "VEE-NEGATIVE"),
        ({"value": Decimal("-1"), "channel": "other"}, "VEE-NEGATIVE"),
        ({"reading_ts": NOW}, "VEE-FUTURE"),
        ({"reading_ts": NOW - datetime.timedelta(minutes=15), "interval_seconds": 1800}, "VEE-FUTURE"),
        ({"reading_ts": START + datetime.timedelta(minutes=7)}, "VEE-ALIGNMENT"),
        ({"reading_ts": START + datetime.timedelta(milliseconds=250)}, "VEE-ALIGNMENT"),
        ({"reading_ts": datetime.datetime(1970, 1, 1, tzinfo=UTC)}, "VEE-DATE"),
    ],
)
def test_a_reading_that_breaks_a_rule_is_quarantined_with_its_line(
    change: dict[str, object], rule: str
) -> None:
    registers = pa.Table.from_pylist([REGISTER_ROW], schema=REGISTERS)
    judged = judge(parsed({"line": 7} | change, {}), registers, now=NOW)
    [bad] = judged.quarantined.to_pylist()
    assert (bad["line"], bad["rule"], bad["severity"]) == (7, rule, "reject")
    assert judged.readings.num_rows == 1


@pytest.mark.parametrize("value", ["4294967.295", "2147483.647", "16777.215", "-2147483.647"])
def test_a_sentinel_is_a_gap_with_a_reason(value: str) -> None:
    assert RULES["VEE-SENTINEL"].severity == "info"
    judged = verdict({"value": Decimal(value)})
    [row] = judged.readings.to_pylist()
    assert (row["value_native"], row["value_kwh"], row["quality"], row["reason_code"]) == (
        None,
        None,
        "null",
        "SENTINEL",
    )


def test_a_negative_value_is_accepted_on_a_two_way_channel() -> None:
    judged = verdict(
        {"value": Decimal("-3"), "channel": "reactive_import", "unit": "kvarh"},
        channel="reactive_import",
        unit="kvarh",
    )
    [row] = judged.readings.to_pylist()
    assert (row["value_native"], row["value_kwh"]) == (Decimal(-3), None)


def test_a_register_without_unit_and_length_accepts_any() -> None:
    judged = verdict(
        {"unit": "MWh", "interval_seconds": 3600, "value": Decimal("0.0015")},
        unit=None,
        interval_seconds=None,
    )
    assert judged.readings["value_kwh"].to_pylist() == [Decimal("1.5")]


def test_a_register_configured_twice_is_an_error() -> None:
    registers = pa.Table.from_pylist([REGISTER_ROW, REGISTER_ROW], schema=REGISTERS)
    with pytest.raises(ValueError, match="twice"):
        judge(parsed({}), registers, now=NOW)


def test_energy_is_converted_exactly_or_not_at_all() -> None:
    values = pa.array(
        [Decimal(v) for v in ("1", "0.000001", "0.0000001", "20000000000", "7")], pa.decimal128(20, 9)
    )
    energy, inexact = to_kwh(values, pa.array(["Wh", "Wh", "Wh", "MWh", "V"]))
    assert energy.to_pylist() == [Decimal("0.001"), Decimal("0.000000001"), None, None, None]
    assert inexact.to_pylist() == [False, False, True, True, False]
    assert verdict({"unit": "Wh", "value": Decimal("1e-9")}, unit="Wh").quarantined["rule"].to_pylist() == [
        "VEE-PRECISION"
    ]


@pytest.mark.parametrize(
    ("zone", "date", "half_hours"),
    [
        ("Australia/Sydney", datetime.date(2024, 4, 7), 50),
        ("Australia/Sydney", datetime.date(2024, 10, 6), 46),
        ("Australia/Sydney", datetime.date(2024, 6, 1), 48),
        ("America/Los_Angeles", datetime.date(2024, 3, 10), 46),
        ("America/Los_Angeles", datetime.date(2024, 11, 3), 50),
        ("Europe/Berlin", datetime.date(2024, 3, 31), 46),
        ("Europe/Berlin", datetime.date(2024, 10, 27), 50),
        ("Australia/Brisbane", datetime.date(2024, 10, 6), 48),
        ("Australia/Lord_Howe", datetime.date(2024, 4, 7), 49),
    ],
)
def test_a_local_day_has_as_many_intervals_as_its_clock_shows(
    zone: str, date: datetime.date, half_hours: int
) -> None:
    # The instants of the days around it that have this local date.
    around = datetime.datetime.combine(date, datetime.time(), UTC) - datetime.timedelta(days=1)
    instants = pa.array(
        [around + datetime.timedelta(minutes=30 * i) for i in range(144)], pa.timestamp("us", tz="UTC")
    )
    dates = reading_dates(instants, pa.array([zone] * 144))
    assert dates.to_pylist().count(date) == half_hours


def test_local_dates_follow_the_zone_of_each_row() -> None:
    instants = pa.array([START] * 3, pa.timestamp("us", tz="UTC"))
    dates = reading_dates(instants, pa.array(["Australia/Sydney", "America/Los_Angeles", "Europe/Berlin"]))
    assert dates.to_pylist() == [
        datetime.date(2024, 2, 1),
        datetime.date(2024, 1, 31),
        datetime.date(2024, 2, 1),
    ]


def test_every_rule_says_what_to_do() -> None:
    assert all(rule.id == name and rule.remedy and rule.description for name, rule in RULES.items())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "identifier": st.sampled_from(["M1", "M2"]),
                "channel": st.sampled_from(["import", "export"]),
                "unit": st.sampled_from(["kWh", "Wh", "MWh", "kvarh"]),
                "value": st.decimals(-1000, 1000, places=9) | st.sampled_from([Decimal("16777.215"), None]),
                "reading_ts": st.sampled_from([START, NOW, START + datetime.timedelta(seconds=1)]),
                "interval_seconds": st.sampled_from([900, 1800]),
            }
        ),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from(["kWh", "Wh", None]),
)
def test_energy_in_is_energy_accepted_and_quarantined(
    rows: list[dict[str, object]], unit: str | None
) -> None:
    file = parsed(*rows)
    judged = judge(file, pa.Table.from_pylist([REGISTER_ROW | {"unit": unit}], schema=REGISTERS), now=NOW)
    balance = energy_balance(file, judged)
    powers = {"Wh": -3, "kWh": 0, "MWh": 3}
    expected = sum(
        (
            Decimal(str(row["value"])).scaleb(powers[str(row["unit"])])
            for row in rows
            if row["unit"] in powers and row["value"] is not None and row["value"] != Decimal("16777.215")
        ),
        Decimal(0),
    )
    assert balance.energy_in_kwh == expected
    assert balance.is_balanced
    assert judged.readings.num_rows + judged.quarantined.num_rows == len(rows)
