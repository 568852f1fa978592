"""The table of planted faults, in the order of the data."""

from tests.soak.faults import (
    Fault,
    alter,
    change_oltp,
    change_schema,
    change_warehouse,
    crash_in,
    drop_connections,
    keep,
    kill_at,
    late_date,
    load_again,
    lossy_landing,
    lossy_load,
    no_command,
    put,
    quarantined,
    refused_by_schema,
    reload,
    run_day_again,
    run_twice_at_once,
    send,
    send_cut,
    send_null,
    send_right,
    send_same,
    send_to_other_tenant,
    send_twice_different,
    shift,
    slip,
    times,
    undo,
    until_noon,
    wrong_model,
)
from tests.soak.site import Change, Row

FLAT, ROOF = ("unit-101", "consumption"), ("solar", "generation")
_LEDGER = "update myproperty.ledger_entries set amount = amount + 1"
_PERCENT = "update myproperty.solar_appraisals set discount_rate = 6"
_RAW = "update raw.meter_readings set value_kwh = value_kwh * 1000 where reading_date = '{day}'"
_FACT_ADDS = "update core.fact_energy_usage set value_kwh = value_kwh + 0.001 where reading_date = '{day}'"
_FACT_NEGATIVE = (
    "update core.fact_energy_usage set value_kwh = -value_kwh "
    "where reading_date = '{day}' and channel = 'import'"
)
_LENGTH_BACK = (
    "update myproperty.meter_readings set interval_seconds = 900 where reading_date = '{day}' and "
    "interval_seconds = 1234"
)
_ZONE_BACK = (
    "update myproperty.meters set timezone = 'Europe/Berlin' where serial_number like 'DEMO-BERLIN%%'"
)
_OTHER_TENANT = (
    "update myproperty.meter_readings set tenant_id = (select id from myproperty.tenants where name "
    "<> 'demo-sonnenhof' limit 1) where reading_date = '{day}'"
)
_SECOND_PRICE = (
    "insert into myproperty.rate_plan_bands (tenant_id, rate_plan_id, charge, band, day_kind, "
    "minutes_of_day, unit_amount, tax_rate, valid_during) select tenant_id, rate_plan_id, charge, "
    "band, day_kind, minutes_of_day, 1, tax_rate, valid_during from myproperty.rate_plan_bands limit "
    "1"
)
_STALE = (
    "update warehouse_staging.meter_readings set value_kwh = value_kwh + 0.001 where reading_date = '{day}'"
)
# The other rows become newer than the lost one by more than a landing looks back.
_HOLE = (
    "with lost as (select min(id::text)::uuid as id from warehouse_staging.payments), gone as (delete from "
    "warehouse_staging.payments where id in (select id from lost)) update warehouse_staging.payments set "
    "updated_at = updated_at + interval '1 year' where id not in (select id from lost)"
)
_LOST = "delete from warehouse_staging.meter_readings where reading_date = '{day}' and channel = 'export'"
_FACT_LOSES = "delete from core.fact_energy_usage where reading_date = '{day}' and channel = 'export'"
_MORE_USED = (
    "update staging.candidate_solar_performance set self_consumed_kwh = generation_kwh + 1 where "
    "reading_date = '{day}' and generation_kwh is not null"
)
_OTHER_CARBON = (
    "update staging.candidate_carbon_savings set self_consumed_kwh = self_consumed_kwh + 1 where "
    "reading_date = '{day}' and self_consumed_kwh is not null"
)
_ARREARS = "update staging.candidate_arrears set outstanding_amount = outstanding_amount + 1"
_FACTORS = "update core.emission_factors set kg_co2e_per_kwh = kg_co2e_per_kwh * 10"
_CAPACITY = "update myproperty.properties set solar_capacity_kw = 0.009 where timezone = 'Europe/Berlin'"
_CAPACITY_BACK = "update myproperty.properties set solar_capacity_kw = 9 where timezone = 'Europe/Berlin'"
_ZONE = "update myproperty.meters set timezone = 'Australia/Sydney' where timezone = 'Europe/Berlin'"
_FLOOR = "alter table myproperty.units alter column floor type integer using null"
_FLOOR_BACK = "alter table myproperty.units alter column floor type text using floor::text"


def in_year(year: str) -> Change:
    return lambda row: row | {"reading_ts": year + row["reading_ts"][4:]}


def three_minutes_late(row: Row) -> Row:
    return row | {"reading_ts": row["reading_ts"].replace("0:00Z", "3:00Z").replace("5:00Z", "8:00Z")}


FILES = (
    slip("unit slip, a flat", "unit-101", "consumption", "1000"),
    slip("unit slip, the roof", "solar", "generation", "1000"),
    slip("unit slip, the grid meter", "grid", "import", "1000"),
    slip("unit slip, export", "grid", "export", "1000"),
    quarantined("wrong unit", "Wh where the register says kWh", "VEE-UNIT", put(unit="Wh")),
    quarantined("sign flip", "consumption below zero", "VEE-NEGATIVE", times("-1")),
    quarantined("clock in the future", "a day of the year 2098", "VEE-FUTURE", in_year("2098")),
    quarantined("clock of the past", "a day of the year 1970", "VEE-DATE", in_year("1970")),
    quarantined("unknown register", "nobody configured it", "VEE-REGISTER", put(register="1-1:9.9.9")),
    quarantined("other interval length", "half-hours", "VEE-INTERVAL", put(interval_seconds="1800")),
    quarantined("shifted intervals", "three minutes late", "VEE-ALIGNMENT", three_minutes_late),
    Fault(
        "zone slip, the roof", "all times 12 hours late", "VEE-SOLAR-NIGHT", "flagged",
        send(*ROOF, shift(12)), send_right(*ROOF, days=2),
    ),
    Fault("doubled file", "the same content, another name", "", "healed", send_same, no_command),
    Fault(
        "doubled rows", "two values of one version for each interval", "VEE-CONFLICT", "flagged",
        send_twice_different, send_right(*FLAT),
    ),
    Fault(
        "frozen logger", "the roof repeats one value", "VEE-STALE", "flagged",
        send(*ROOF, put(value="0.3")), send_right(*ROOF),
    ),
    Fault(
        "withdrawn day", "a newer file has no value for a day", "VEE-WITHDRAWN", "flagged",
        send_null, send_right(*FLAT),
    ),
    Fault("half a day", "a file ends at noon", "", "healed", send(*FLAT, until_noon), no_command),
    Fault(
        "another tenant's file", "no meter of it is known", "FILE-METERS", "refused",
        send_to_other_tenant, no_command,
    ),
    Fault("cut file", "a transfer that ended early", "FILE-DAMAGED", "refused", send_cut, no_command),
)  # fmt: skip
STORE = (
    Fault(
        "impossible interval", "stored behind the loader", "A-READINGS-008", "blocked",
        alter("consumption", "interval_seconds = 1234"), undo("oltp", _LENGTH_BACK), runs="day",
    ),
    Fault(
        "generation above the capacity", "stored behind the loader", "A-READINGS-011", "blocked",
        alter("generation", "value_native = 900, value_kwh = 900"), load_again(*ROOF), runs="day",
    ),
    Fault(
        "capacity a thousandth", "of a property", "A-READINGS-011", "blocked",
        change_oltp(_CAPACITY), undo("oltp", _CAPACITY_BACK), runs="day",
    ),
    Fault(
        "zone of a meter changed", "to Sydney's", "A-READINGS-007", "blocked",
        change_oltp(_ZONE), undo("oltp", _ZONE_BACK), runs="day",
    ),
    Fault(
        "price of a hundred", "an appraisal sells a kWh for 100", "D-ROI-007", "blocked",
        change_oltp("update myproperty.solar_appraisals set price_per_kwh = 100"),
        undo("oltp", "update myproperty.solar_appraisals set price_per_kwh = 0.3"), runs="day",
    ),
    Fault(
        "dropped column", "a column of a source table is gone", "STEP land_entities", "blocked",
        change_schema("alter table myproperty.providers rename column kind to sort"),
        undo("oltp", "alter table myproperty.providers rename column sort to kind"), runs="day",
    ),
    Fault(
        "changed type", "a source column has another type", "STEP land_entities", "blocked",
        change_schema(_FLOOR), undo("oltp", _FLOOR_BACK), runs="day",
    ),
    refused_by_schema("reading of another tenant's meter", "in the store", _OTHER_TENANT),
    refused_by_schema("two prices at once", "bands of a rate plan overlap", _SECOND_PRICE),
    refused_by_schema("ledger entry changed", "after the fact", _LEDGER),
    refused_by_schema("appraisal in percent", "a rate of 6 where 0.06 is meant", _PERCENT),
)  # fmt: skip
COPIES = (
    Fault(
        "altered invoice in landing", "a growing table keeps it", "B-INVOICES-003", "blocked",
        change_oltp("update warehouse_staging.invoices set total_amount = total_amount + 100"),
        reload("invoices"), runs="day",
    ),
    Fault(
        "deleted payment in landing", "a growing table keeps the hole", "B-PAYMENTS-002", "blocked",
        change_oltp(_HOLE), reload("payments"), runs="day",
    ),
    Fault(
        "emptied table in landing", "all payments are copied again", "", "healed",
        change_oltp("delete from warehouse_staging.payments"), no_command, runs="day",
    ),
    Fault(
        "stale landing", "landed rows change before they are loaded", "B-METER-READINGS-003", "blocked",
        keep, no_command, lossy_landing(_STALE), runs="day",
    ),
    Fault(
        "lost rows in landing", "rows vanish before they are loaded", "B-METER-READINGS-002", "blocked",
        keep, no_command, lossy_landing(_LOST), runs="day",
    ),
    Fault(
        "load that loses a row", "the loader leaves one out", "C-METER-READINGS-002", "blocked",
        keep, no_command, lossy_load, runs="day",
    ),
    Fault(
        "altered invoice in raw", "the load compares and copies all again", "", "healed",
        change_warehouse("update raw.invoices set total_amount = total_amount + 100"),
        no_command, runs="day",
    ),
    Fault(
        "altered partition of raw", "a run loads the day again", "", "healed",
        change_warehouse(_RAW), no_command, runs="day",
    ),
    Fault(
        "duplicate keys in raw", "each unit twice", "", "healed",
        change_warehouse("insert into raw.units select * from raw.units"), no_command, runs="day",
    ),
    Fault(
        "dropped raw table", "raw.units is gone", "", "healed",
        change_warehouse("drop table raw.units cascade"), no_command, runs="day",
    ),
)  # fmt: skip
MODELS = (
    wrong_model("emission factors tenfold", "in the seed", "D-FACTOR-002", "dbt_dimensions", _FACTORS),
    wrong_model("model adds energy", "a Wh for each interval", "D-FACT-003", "dbt_facts", _FACT_ADDS),
    wrong_model("model loses a channel", "in the fact", "D-FACT-001", "dbt_facts", _FACT_LOSES),
    wrong_model("model turns energy around", "in the fact", "D-FACT-005", "dbt_facts", _FACT_NEGATIVE),
    wrong_model("more solar used than made", "in the candidate", "D-SOLAR-004", "dbt_facts", _MORE_USED),
    wrong_model("carbon of other energy", "in the candidate", "D-CARBON-004", "dbt_facts", _OTHER_CARBON),
    wrong_model("arrears that do not tie", "in the candidate", "D-ARREARS-001", "dbt_facts", _ARREARS),
)
MACHINES = (
    Fault(
        "worker killed while landing", "SIGKILL", "RUN-STOPPED", "blocked",
        kill_at("landed"), no_command, runs="none",
    ),
    Fault(
        "worker killed while dbt builds", "SIGKILL, of dbt too", "RUN-STOPPED", "blocked",
        kill_at("dbt built core/fact_energy_usage"), no_command, runs="none",
    ),
    Fault(
        "lost connections", "the database ends them in mid-run", "", "blocked",
        drop_connections, no_command, runs="none",
    ),
    Fault(
        "full disk", "a step ends with the system's error", "STEP reading_issues", "blocked",
        keep, no_command,
        crash_in("data.ingest.validation.run.validate", OSError(28, "No space left on device")), runs="day",
    ),
    Fault("two runs at once", "over the same day", "", "healed", run_twice_at_once, no_command, runs="none"),
    Fault("the same run twice", "over the same day", "", "healed", run_day_again, no_command, runs="day"),
    Fault("a silent day", "nobody sends anything", "", "healed", late_date, no_command, runs="none"),
)  # fmt: skip
FAULTS = (*FILES, *STORE, *COPIES, *MODELS, *MACHINES)
