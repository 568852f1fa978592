"""Meter files to marts as `make demo` runs it, held against the files as other libraries read them.

The demo company's files go through the real job once; the tests then follow each other on that platform, as
a user's days would: what was run, run again, a revision, and a broken batch at each gate.
"""

import gzip
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import psycopg
import pytest
from nemreader import NEMFile
from psycopg.rows import dict_row
from pvlib.irradiance import get_extra_radiation, get_total_irradiance
from pvlib.location import Location

from dagster_project.defs.warehouse import assets
from dagster_project.jobs import (
    RunReport,
    ingest_inbox,
    pending_dates,
    run_pending,
    run_pipeline,
    validate_due,
)
from data.demo import DemoPlan, apply_company, generate
from data.demo.assets import ROOFS
from data.demo.billing import apply_billing
from data.demo.company import Site, company
from data.demo.generate import SILENT_DAY
from data.demo.tariffs import BANDS as BANDS_FILE
from data.ingest.validation.run import Validation, due_dates
from data.landing import landing
from data.raw import warehouse as warehouses
from myproperty import engines
from myproperty.settings import Settings
from oltp_schema.migrate import upgrade
from tests import marts_by_pandas as by_pandas
from tests.analyst_questions import questions
from tests.conftest import DatabaseMaker
from tests.solar_by_pandas import shared as shared_solar
from tests.warehouse.second_routes import returns_of

pytestmark = [pytest.mark.engine, pytest.mark.slow]

DAYS = 6
NEM_TIME = timedelta(hours=10)
FACT = """
select tenant_id, meter_id, channel, reading_date, sum(value_kwh) as energy_kwh, count(*) as readings
from core.fact_energy_usage where reading_date >= date '2000-01-01' and quality_method is distinct from '17'
group by 1, 2, 3, 4
"""
MART = """
select tenant_id, property_id, reading_date, generation_kwh, exported_kwh, imported_kwh, self_consumed_kwh,
    completeness_pct, specific_yield_kwh_per_kw, irradiation_kwh_per_m2, performance_ratio,
    capacity_factor, time_availability, estimated_share_pct
from marts.mart_solar_performance where reading_date >= date '2000-01-01' order by 1, 2, 3
"""
CARBON = """
select property_id, reading_date, avoided_location_kg, avoided_market_kg, exported_location_kg,
    is_market_grid_average, location_factor_id, completeness_pct, estimated_share_pct
from marts.mart_carbon_savings where reading_date >= date '2000-01-01' order by 1, 2
"""


# Energy of each layer by the same name; the daily aggregate has no readings to count.
OF_A_DAY = """
select tenant_id::text as tenant_id, reading_date, count(*) as readings, sum(value_kwh) as energy_kwh
from {table} where reading_date >= date '2000-01-01' and {energy} group by 1, 2 order by 1, 2
"""
SENT = "quality_method is distinct from '17'"
KWH = "channel in ('import', 'export', 'generation', 'consumption') and unit in ('kWh', 'Wh', 'MWh')"
APPRAISALS = """
select a.id::text, a.first_year_kwh, a.price_per_kwh, a.incentives, a.degradation_rate, a.price_growth_rate,
    a.cost_growth_rate, a.discount_rate, a.lifetime_years, sum(c.capital_cost) as capital_cost,
    sum(c.yearly_cost) as yearly_cost
from myproperty.solar_appraisals a
join myproperty.solar_assets c on c.tenant_id = a.tenant_id and c.property_id = a.property_id
where c.status <> 'planned' and a.capital_cost is null and a.yearly_cost is null
group by a.tenant_id, a.id
"""
BANDS = """
select a.tenant_id::text as tenant_id, a.unit_id::text as unit_id, lower(a.assigned_during) as assigned_from,
    upper(a.assigned_during) as assigned_to, b.band, b.day_kind, lower(b.minutes_of_day) as first,
    upper(b.minutes_of_day) as last, lower(b.valid_during) as valid_from, upper(b.valid_during) as valid_to,
    b.unit_amount
from myproperty.rate_plan_assignments a
join myproperty.rate_plan_bands b on b.tenant_id = a.tenant_id and b.rate_plan_id = a.rate_plan_id
where b.charge = 'grid'
"""


@dataclass(frozen=True)
class Platform:
    """A platform on which the demo has run once."""

    settings: Settings
    plan: DemoPlan
    validated: list[Validation]
    reports: list[RunReport]

    def query(self, sql: str) -> pd.DataFrame:
        warehouse = warehouses.open_warehouse(self.settings)
        try:
            frame: pd.DataFrame = warehouse.query(sql).to_pandas()
        finally:
            warehouse.close()
        return frame

    def answer(self, number: int) -> list[dict[str, Any]]:
        """The rows that answer a question of docs/analyst-questions.md."""
        warehouse = warehouses.open_warehouse(self.settings)
        try:
            found: list[dict[str, Any]] = warehouse.query(questions()[number]).to_pylist()
        finally:
            warehouse.close()
        assert found, f"question {number} has no answer"
        return found

    def figures(self, mart: str, columns: tuple[str, str], where: str = "true") -> by_pandas.Figures:
        """The rows of a mart as {key: figures}, of the columns of each."""
        names = [part.split(", ") for part in columns]
        warehouse = warehouses.open_warehouse(self.settings)
        try:
            table = warehouse.query(f"select {', '.join(columns)} from marts.{mart} where {where}")
        finally:
            warehouse.close()
        keys, values = ([tuple(row[name] for name in part) for row in table.to_pylist()] for part in names)
        assert len(keys) == len(set(keys)), f"{mart} has a key twice"
        return dict(zip(keys, values, strict=True))

    def oltp(self, statement: str, *parameters: object) -> None:
        with psycopg.connect(engines.dsn(self.settings)) as connection:
            connection.execute(statement.encode(), parameters)


@pytest.fixture(scope="module")
def platform(fresh_database: DatabaseMaker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home = tmp_path_factory.mktemp("home")
    with fresh_database("oltp") as oltp, fresh_database("warehouse") as warehouse:
        settings = Settings(home=home, warehouse="postgres", oltp_dsn=oltp, warehouse_dsn=warehouse)
        upgrade(oltp)
        apply_company(oltp)
        plan = generate(Path(settings.inbox), "small", DAYS)
        # The files stay readable for the tests: ingesting moves them to the archive.
        ingested = ingest_inbox(settings)
        assert [result.status for result in ingested] == ["loaded"] * len(plan.files)
        validated = validate_due(settings)
        assert apply_billing(oltp, since=plan.start) > 0
        yield Platform(settings, plan, validated, run_pending(settings))


def archived(platform: Platform) -> list[Path]:
    """The files as delivered, in the order of their delivery."""
    files = [path for path in Path(platform.settings.archive).rglob("*") if path.is_file()]
    return sorted(files, key=lambda path: path.name)


def nem12_rows(path: Path, folder: Path) -> Iterator[tuple[str, str, datetime, Decimal]]:
    """(NMI, register, start in UTC, kWh) as nemreader reads a file; its times are NEM time without a zone."""
    members = [path]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            members = [Path(archive.extract(name, folder)) for name in archive.namelist()]
    for member in members:
        for nmi, registers in NEMFile(str(member)).nem_data().readings.items():
            for register, readings in registers.items():
                for reading in readings:
                    start = (reading.t_start - NEM_TIME).replace(tzinfo=UTC)
                    yield nmi, register, start, Decimal(str(round(reading.read_value, 6)))


def csv_rows(path: Path) -> Iterator[tuple[str, str, datetime, Decimal]]:
    """The same of a canonical CSV, by pandas."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    frame = pd.read_csv(io.BytesIO(data), dtype=str)
    columns = (frame["identifier"], frame["register"], frame["reading_ts"], frame["unit"], frame["value"])
    for identifier, register, start, unit, value in zip(*map(list, columns), strict=True):
        energy = Decimal(value) / (1000 if unit == "Wh" else 1)
        yield identifier, register, datetime.fromisoformat(start).astimezone(UTC), energy


@pytest.fixture(scope="module")
def energy_of_files(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Energy and count per meter, channel and local day, from the files alone; the later delivery counts.

    The file with bad rows is left out: its good rows only repeat what others say.
    """
    folder = tmp_path_factory.mktemp("members")
    latest: dict[tuple[str, str, datetime], Decimal] = {}
    for path in archived(platform):
        if "bad-rows" in path.name:
            continue
        rows = nem12_rows(path, folder) if "sydney" in path.name else csv_rows(path)
        latest.update({(meter, register, start): value for meter, register, start, value in rows})
    places = {
        (meter.identifier, register.register): (site, meter, register)
        for tenant in company("small")
        for site in tenant.sites
        for meter in site.meters
        for register in meter.registers
    }
    sites = {site.key: tenant.id for tenant in company("small") for site in tenant.sites}
    rows_ = []
    for (identifier, name, start), value in latest.items():
        site, meter, register = places[identifier, name]
        day = start.astimezone(ZoneInfo(site.timezone)).date()
        rows_.append((str(sites[site.key]), str(site.id), str(meter.id), register.channel, day, value))
    columns = ["tenant_id", "property_id", "meter_id", "channel", "reading_date", "energy_kwh"]
    return pd.DataFrame(rows_, columns=columns)


def test_the_range_is_published_and_every_gate_passed(platform: Platform) -> None:
    assert [report.success for report in platform.reports] == [True]
    assert {verdict.gate for verdict in platform.reports[0].verdicts} == {"A", "B", "C", "D"}
    assert pending_dates(platform.settings) == []


def test_an_hour_that_nobody_sent_is_estimated_and_told_in_the_mart(
    platform: Platform, energy_of_files: pd.DataFrame
) -> None:
    """Four quarter-hours on the line between 11:45 and 13:00, by the arrays behind the files."""
    assert sum(result.estimated for result in platform.validated) == 4
    assert due_dates(engines.dsn(platform.settings)) == []
    quarters = platform.query(
        "select reading_ts, value_kwh, quality, is_estimated from core.fact_energy_usage "
        f"where reading_date = date '{SILENT_DAY}' and channel = 'generation' and quality_method = '17'"
    ).sort_values("reading_ts")
    around = platform.query(
        "select reading_ts, value_kwh from core.fact_energy_usage where meter_id in ("
        f"select meter_id from core.fact_energy_usage where reading_date = date '{SILENT_DAY}' "
        "and quality_method = '17') and channel = 'generation' "
        f"and reading_ts in ('{SILENT_DAY} 10:45:00+00', '{SILENT_DAY} 12:00:00+00') order by reading_ts"
    )
    before, after = (Decimal(value) for value in around["value_kwh"])
    assert [Decimal(value) for value in quarters["value_kwh"]] == [
        round(before + (after - before) * step / 5, 6) for step in range(1, 5)
    ]
    assert set(quarters["quality"]) == {"estimated"}
    mart = platform.query(MART)
    told = mart[mart["estimated_share_pct"] > 0]
    assert list(told["reading_date"]) == [SILENT_DAY]
    # 96 intervals of generation and 96 of export.
    assert float(told["estimated_share_pct"].iloc[0]) == pytest.approx(100 * 4 / 192, abs=1e-4)
    sent = energy_of_files[
        (energy_of_files["property_id"] == told["property_id"].iloc[0])
        & (energy_of_files["reading_date"] == SILENT_DAY)
        & (energy_of_files["channel"] == "generation")
    ]["energy_kwh"].sum()
    assert told["generation_kwh"].iloc[0] == sent + sum(map(Decimal, quarters["value_kwh"]))


def test_energy_in_the_fact_equals_the_energy_in_the_files(
    platform: Platform, energy_of_files: pd.DataFrame
) -> None:
    keys = ["tenant_id", "meter_id", "channel", "reading_date"]
    files = energy_of_files.groupby(keys)["energy_kwh"].agg(["sum", "count"]).reset_index()
    both = files.merge(platform.query(FACT), on=keys, how="outer", indicator=True)
    assert (both["_merge"] == "both").all()
    assert both[both["sum"] != both["energy_kwh"]].empty
    assert both[both["count"] != both["readings"]].empty
    assert len(both) == len(platform.plan.expected)


def test_energy_in_the_mart_equals_the_energy_in_the_files(
    platform: Platform, energy_of_files: pd.DataFrame
) -> None:
    solar = energy_of_files[energy_of_files["channel"].isin(["generation", "export", "import"])]
    files = solar.pivot_table(
        index=["tenant_id", "property_id", "reading_date"],
        columns="channel",
        values="energy_kwh",
        aggfunc="sum",
    ).reset_index()
    both = files.merge(platform.query(MART), on=["tenant_id", "property_id", "reading_date"])
    whole = both[(both["completeness_pct"] == 100) & (both["estimated_share_pct"] == 0)]
    assert len(whole) >= 3 * DAYS - 1
    for channel, column in (
        ("generation", "generation_kwh"),
        ("export", "exported_kwh"),
        ("import", "imported_kwh"),
    ):
        assert (whole[channel] == whole[column]).all(), column
    assert (whole["generation"] - whole["export"] == whole["self_consumed_kwh"]).all()


def rows_of(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows, each with its columns as attributes."""
    return iter(frame.itertuples())


def irradiation(site: Site, day: date) -> float:
    """kWh/m2 of a clear local day on the plane of a site's array, by pvlib's own calls, minute by minute."""
    start = pd.Timestamp(day, tz=site.timezone)
    times = pd.date_range(start, start + pd.DateOffset(days=1), freq="1min", inclusive="left")
    place = Location(site.latitude, site.longitude, tz=site.timezone)
    roof = ROOFS[site.place]
    sun, sky = place.get_solarposition(times), place.get_clearsky(times, model="ineichen")
    plane = get_total_irradiance(
        roof.tilt,
        roof.azimuth,
        sun["apparent_zenith"],
        sun["azimuth"],
        sky["dni"],
        sky["ghi"],
        sky["dhi"],
        dni_extra=get_extra_radiation(times),
        model="haydavies",
    )
    return float(plane["poa_global"].fillna(0).sum()) / 60 / 1000


def test_performance_equals_that_of_pvlib_and_the_files(
    platform: Platform, energy_of_files: pd.DataFrame
) -> None:
    generation = energy_of_files[energy_of_files["channel"] == "generation"]
    made = generation.groupby(["property_id", "reading_date"])["energy_kwh"].sum().to_dict()
    sites = {str(site.id): site for tenant in company("small") for site in tenant.sites}
    mart = platform.query(MART)
    # What was estimated is not in the files.
    whole = mart[(mart["completeness_pct"] == 100) & (mart["estimated_share_pct"] == 0)]
    assert len(whole) >= 2 * DAYS
    for row in rows_of(whole):
        site, energy = sites[row.property_id], float(made[row.property_id, row.reading_date])
        sun = irradiation(site, row.reading_date)
        assert float(row.irradiation_kwh_per_m2) == pytest.approx(sun, rel=0.003)
        assert float(row.performance_ratio) == pytest.approx(energy / site.solar_kw / sun, rel=0.003)
        start = pd.Timestamp(row.reading_date, tz=site.timezone)
        hours = (start + pd.DateOffset(days=1) - start) / pd.Timedelta(hours=1)
        assert float(row.capacity_factor) == pytest.approx(energy / site.solar_kw / hours, abs=1e-9)
        assert 0.9 < float(row.time_availability) <= 1
    # Winter under clouds, on a roof that the demo makes lie flat, is far below what a clear sky gives.
    assert mart["performance_ratio"].dropna().between(0.05, 1.1).all()


def test_carbon_equals_the_energy_of_the_files_by_the_published_factors(
    platform: Platform, energy_of_files: pd.DataFrame
) -> None:
    """By place: average of the grid, residual mix; of California no residual mix is quoted.

    NGA 2024 for New South Wales, eGRID2023 for California, UBA and AIB 2024 for Germany.
    """
    factors = {
        "sydney": (Decimal("0.66"), Decimal("0.81")),
        "los-angeles": (Decimal("0.19504"), None),
        "berlin": (Decimal("0.363"), Decimal("0.72456")),
    }
    sites = {str(site.id): site for tenant in company("small") for site in tenant.sites}
    solar = energy_of_files[energy_of_files["channel"].isin(["generation", "export"])]
    files = solar.pivot_table(
        index=["property_id", "reading_date"], columns="channel", values="energy_kwh", aggfunc="sum"
    )
    carbon = platform.query(CARBON)
    whole = carbon[(carbon["completeness_pct"] == 100) & (carbon["estimated_share_pct"] == 0)]
    assert len(whole) >= 2 * DAYS
    energies = files.to_dict("index")
    for row in rows_of(whole):
        average, residual = factors[sites[row.property_id].place]
        energy = energies[row.property_id, row.reading_date]
        assert row.avoided_location_kg == (energy["generation"] - energy["export"]) * average
        assert row.exported_location_kg == energy["export"] * average
        assert row.is_market_grid_average == (residual is None)
        assert row.avoided_market_kg == (energy["generation"] - energy["export"]) * (residual or average)


def test_energy_ties_through_every_layer(platform: Platform, energy_of_files: pd.DataFrame) -> None:
    """Files, readings, landing, raw, fact and daily sums: per tenant and day, to the last decimal."""
    keys = ["tenant_id", "reading_date"]
    sums = energy_of_files.groupby(keys)["energy_kwh"].agg(["count", "sum"]).reset_index()
    files = sums.sort_values(keys).to_numpy().tolist()
    with psycopg.connect(engines.dsn(platform.settings)) as connection:
        oltp = [
            [
                list(row)
                for row in connection.execute(
                    OF_A_DAY.format(table=table, energy=f"{KWH} and {SENT}").encode()
                )
            ]
            for table in ("myproperty.meter_readings", "warehouse_staging.meter_readings")
        ]
    warehouse = [
        platform.query(OF_A_DAY.format(table=table, energy=energy)).to_numpy().tolist()
        for table, energy in (("raw.meter_readings", f"{KWH} and {SENT}"), ("core.fact_energy_usage", SENT))
    ]
    daily = OF_A_DAY.replace("count(*)", "sum(actual_intervals)").replace("value_kwh", "energy_kwh")
    for layer in (*oltp, *warehouse):
        assert layer == files
    of_fact, of_days = (
        platform.query(query.format(table=table, energy="true")).to_numpy().tolist()
        for query, table in ((OF_A_DAY, "core.fact_energy_usage"), (daily, "core.fact_energy_daily"))
    )
    assert of_fact == of_days, "estimates included"


def test_contracts_of_the_demo_have_the_prices_that_are_published(platform: Platform) -> None:
    """The seed, by the warehouse and as a file, and the rate plans that residents are on."""
    band = "b.charge, b.band, b.day_kind, b.minutes_from, b.minutes_to, b.unit_amount, b.tax_rate"
    contracts = platform.query(
        f"select distinct p.rate_plan_name, p.currency, {band}, b.valid_from, b.valid_to "
        "from core.dim_rate_plan_band as b join core.dim_rate_plan as p "
        "on p.tenant_id = b.tenant_id and p.rate_plan_id = b.rate_plan_id and p.is_current"
    )
    published = platform.query(
        f"select b.plan_name, b.currency, {band}, b.valid_from, b.valid_to from core.demo_tariff_bands as b"
    )
    assert set(contracts.itertuples(index=False, name=None)) == set(
        published.itertuples(index=False, name=None)
    )
    assert len(contracts) == len(published) == len(BANDS_FILE.read_text(encoding="utf-8").splitlines()) - 1


def test_the_cost_of_each_interval_is_that_of_pandas_and_zoneinfo(platform: Platform) -> None:
    check_costs(platform)


def check_costs(platform: Platform) -> None:
    """From the tariffs of the OLTP and the wall clock of Python, interval by interval; nothing of dbt."""
    usage = platform.query(
        "select tenant_id, unit_id, property_id, channel, reading_ts, value_kwh, tariff_band, cost_amount "
        "from core.fact_energy_usage where reading_date >= date '2000-01-01'"
    )
    with psycopg.connect(engines.dsn(platform.settings), row_factory=dict_row) as connection:
        bands = pd.DataFrame(connection.execute(BANDS.encode()).fetchall())
    zones = {str(site.id): site.timezone for tenant in company("small") for site in tenant.sites}
    parts = []
    for property_id, rows in usage.groupby("property_id"):
        local_ts = rows["reading_ts"].dt.tz_convert(ZoneInfo(zones[str(property_id)]))
        weekend = local_ts.dt.dayofweek >= 5
        parts.append(
            rows.assign(
                day=local_ts.dt.date,
                minute=local_ts.dt.hour * 60 + local_ts.dt.minute,
                day_kind=weekend.map({True: "weekend", False: "weekday"}),
            )
        )
    drawn = pd.concat(parts)
    drawn = drawn[drawn["channel"].isin(["consumption", "import"]) & drawn["unit_id"].notna()].reset_index()
    priced = drawn.merge(bands, on=["tenant_id", "unit_id", "day_kind"])
    ever = date(9999, 1, 1)
    for first, last, value in (
        ("assigned_from", "assigned_to", "day"),
        ("valid_from", "valid_to", "day"),
        ("first", "last", "minute"),
    ):
        end = (
            priced[last] if value == "minute" else priced[last].map(lambda day: ever if pd.isna(day) else day)
        )
        priced = priced[(priced[value] >= priced[first]) & (priced[value] < end)]
    assert len(priced) == len(drawn) > 1000, "each interval has exactly one price"
    assert set(priced["band"]) >= {"peak", "off-peak"}
    assert (priced["band"] == priced["tariff_band"]).all()
    nano = Decimal("0.000000001")
    expected = [
        (kwh * price).quantize(nano, ROUND_HALF_UP)
        for kwh, price in zip(priced["value_kwh"], priced["unit_amount"], strict=True)
    ]
    assert list(priced["cost_amount"]) == expected
    others = usage[~usage["channel"].isin(["consumption", "import"]) | usage["unit_id"].isna()]
    assert others["cost_amount"].isna().all()


def test_invoices_tie_to_the_ledger_and_the_meter(platform: Platform) -> None:
    """Of each allocation of a unit: its lines bill what was allocated, and what its meter measured."""
    ties = platform.query(
        """
        select l.allocation_id, l.solar_kwh, l.grid_kwh,
            (select sum(d.energy_kwh) from core.fact_energy_daily d
             where d.tenant_id = l.tenant_id and d.unit_id = l.unit_id and d.channel = 'consumption'
               and d.reading_date >= l.period_from and d.reading_date < l.period_to) as metered_kwh,
            (select coalesce(sum(i.quantity), 0) from core.fact_invoice i where i.tenant_id = l.tenant_id
               and i.allocation_id = l.allocation_id and i.category = 'solar') as billed_solar_kwh,
            (select coalesce(sum(i.quantity), 0) from core.fact_invoice i where i.tenant_id = l.tenant_id
               and i.allocation_id = l.allocation_id and i.category = 'grid') as billed_grid_kwh
        from staging.stg_oltp__allocation_ledger l where l.tenancy_id is not null
        """
    )
    assert len(ties) > 5
    assert (ties["solar_kwh"] + ties["grid_kwh"] == ties["metered_kwh"]).all()
    assert (ties["billed_solar_kwh"] == ties["solar_kwh"]).all()
    assert (ties["billed_grid_kwh"] == ties["grid_kwh"]).all()
    amounts = platform.query(
        "select (select sum(total_amount) from core.fact_invoice) as lines, "
        "(select sum(settled_amount) from core.fact_payment) as paid"
    )
    with psycopg.connect(engines.dsn(platform.settings)) as connection:
        billed = connection.execute(
            "select (select sum(total_amount) from myproperty.invoices), "
            "(select sum(amount) from myproperty.payments where status = 'received')"
        ).fetchone()
    assert amounts.iloc[0].tolist() == list(billed or ())


def test_every_mile_of_a_ticket_and_a_session_is_there(platform: Platform) -> None:
    with psycopg.connect(engines.dsn(platform.settings)) as connection:
        counted = connection.execute(
            "select (select count(*) from myproperty.service_tickets), "
            "(select count(distinct session_id) from "
            "(select session_id from myproperty.agent_messages union all "
            "select session_id from myproperty.agent_audit) as s)"
        ).fetchone()
    facts = platform.query(
        "select (select count(*) from core.fact_service_ticket) as tickets, "
        "(select count(*) from core.fact_agent_session) as sessions"
    )
    assert facts.iloc[0].tolist() == list(counted or ())
    assert min(facts.iloc[0]) > 0


PARTLY = {date(2025, 10, 28), date(2025, 11, 4)}


def test_every_bill_ties_from_the_meter_to_the_payment(platform: Platform) -> None:
    expected = by_pandas.reconciliation(engines.dsn(platform.settings))
    assert len(expected) > 5
    assert platform.figures("mart_billing_reconciliation", by_pandas.RECONCILIATION) == expected
    findings = platform.query("select distinct finding from marts.mart_billing_reconciliation")
    assert set(findings["finding"]) == {"ties"}


def test_arrears_are_invoices_less_payments_by_age(platform: Platform) -> None:
    """Before the bills, at the end of the month in which some are overdue, and a year later."""
    dsn = engines.dsn(platform.settings)
    dates = platform.query("select distinct as_of_date, is_latest from marts.mart_arrears")
    (latest,) = dates.loc[dates["is_latest"], "as_of_date"]
    assert list(dates["as_of_date"]).count(date(2025, 10, 31)) == 0
    for as_of in (date(2025, 11, 30), latest):
        expected = by_pandas.arrears(dsn, as_of)
        assert expected
        found = platform.figures("mart_arrears", by_pandas.ARREARS, f"as_of_date = date '{as_of}'")
        assert found == expected


def test_returns_are_those_of_numpy_financial_and_of_solar_shared_by_pandas(platform: Platform) -> None:
    """The appraisal by numpy-financial from the owner's assumptions; what was realised from the readings."""
    dsn = engines.dsn(platform.settings)
    shared = shared_solar(dsn)
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        appraisals = {row["id"]: row for row in connection.execute(APPRAISALS.encode())}
    returns = platform.query("select * from marts.mart_roi_summary")
    assert len(returns) == len(appraisals) == 4
    for row in rows_of(returns):
        assumed = {name: value for name, value in appraisals[row.appraisal_id].items() if name != "id"}
        expected = returns_of(assumed)
        assert float(row.npv_amount) == pytest.approx(expected.npv, abs=0.0051)
        assert float(row.irr_pct) == pytest.approx(expected.irr_pct, abs=0.6e-6)
        assert float(row.payback_years) == pytest.approx(expected.payback_years, abs=0.51e-4)
        assert float(row.lcoe_per_kwh) == pytest.approx(expected.lcoe, abs=0.51e-6)
        day, end = shared["reading_date"], row.valid_to or date.max
        since = shared[(shared["property_id"] == row.property_id) & (day >= row.valid_from) & (day < end)]
        if since.empty:
            assert pd.isna(row.owner_revenue_amount) and row.realised_days == 0
            continue
        assert float(row.owner_revenue_amount) == pytest.approx(since["revenue_amount"].sum(), abs=0.0051)
        assert float(row.residents_saving_amount) == pytest.approx(since["saving_amount"].sum(), abs=0.0051)
    differences = platform.query("select * from marts.mart_allocation_differences")
    assert len(differences) > 5 and set(differences["finding"]) == {"ties"}
    for row in rows_of(differences):
        is_common = pd.isna(row.unit_id)
        of_unit = shared["unit_id"].isna() if is_common else shared["unit_id"] == row.unit_id
        day = shared["reading_date"]
        billed = shared[
            of_unit
            & (shared["property_id"] == row.property_id)
            & (day >= row.period_from)
            & (day < row.period_to)
        ]
        assert float(row.computed_solar_kwh) == pytest.approx(billed["solar_kwh"].sum(), abs=1e-6)
        if not is_common:
            assert float(row.computed_grid_kwh) == pytest.approx(billed["grid_kwh"].sum(), abs=1e-6)


def test_completeness_counts_what_came_against_what_was_due(platform: Platform) -> None:
    """Sydney's files have whole days of UTC+10: their first and last local days are there in part."""
    expected = by_pandas.completeness(engines.dsn(platform.settings))
    found = platform.figures(
        "mart_data_completeness", by_pandas.COMPLETENESS, "reading_date >= date '2000-01-01'"
    )
    assert found == expected
    # Half-hours in Sydney, quarter-hours elsewhere; in Los Angeles clocks go back.
    assert {figures[0] for figures in found.values()} == {48, 96, 100}
    assert sum(figures[2] for figures in found.values()) == 4
    assert {key[-1] for key, figures in found.items() if figures[3]} == PARTLY


def test_months_of_tickets_are_those_of_pandas(platform: Platform) -> None:
    expected = by_pandas.sla(engines.dsn(platform.settings), datetime.now(UTC))
    assert platform.figures("mart_ticket_sla", by_pandas.SLA) == expected
    assert sum(figures[4] for figures in expected.values()) > 0, "no promise was broken"


PLACES = {"Wattlebird Terraces (demo)", "Cedar Canyon Lofts (demo)", "Sonnenhof 7 (demo)"}


def test_questions_on_solar_are_answered_within_physics(
    platform: Platform, energy_of_files: pd.DataFrame
) -> None:
    made, performance, carbon = (platform.answer(number) for number in (1, 2, 3))
    for rows_ in (made, performance, carbon):
        assert {row["property_name"] for row in rows_} == PLACES
    of_roofs = energy_of_files[energy_of_files["channel"] == "generation"]
    sent = sum(of_roofs["energy_kwh"], Decimal(0))
    generated = sum((row["generation_kwh"] for row in made), Decimal(0))
    # What validation estimated for a silent hour comes on top of what was sent.
    assert sent <= generated < sent * Decimal("1.01")
    for row in made:
        assert 0 < row["exported_kwh"] < row["generation_kwh"]
        own = 100 * (row["generation_kwh"] - row["exported_kwh"]) / row["generation_kwh"]
        assert float(row["self_consumption_pct"]) == pytest.approx(float(own), abs=0.05)
        assert 99 < row["completeness_pct"] <= 100
    for row in performance:
        assert 0.05 < row["performance_ratio"] < 1.1
        assert 0 < row["kwh_per_kw_and_day"] < 8, "a kilowatt makes no more on the longest day"
        assert row["days_known"] in (DAYS, DAYS + 1)
        assert 0 <= row["worst_energy_availability"] <= 1
    for row in carbon:
        assert 0.1 < row["avoided_location_kg"] / row["self_consumed_kwh"] < 1
    assert {row["emission_region"] for row in carbon} == {"AU-NSW", "US-CAMX", "DE"}


def test_questions_on_money_are_answered_to_the_cent(platform: Platform) -> None:
    returns, billed, ties, owed = (platform.answer(number) for number in (4, 7, 8, 9))
    for row in returns:
        assert 0 < row["irr_pct"] < 40 and row["npv_amount"] > 0
        assert 3 < row["payback_years"] < 20 and 0.03 < row["lcoe_per_kwh"] < 0.3
        assert row["residents_saving_amount"] > 0
    with psycopg.connect(engines.dsn(platform.settings)) as connection:
        issued: dict[str, Decimal] = dict(
            connection.execute(
                "select currency, sum(total_amount) from myproperty.invoices "
                "where status not in ('draft', 'void') group by currency"
            ).fetchall()
        )
        receivable: dict[str, Decimal] = dict(
            connection.execute(
                "select currency, balance from myproperty.account_balances where code = 'receivables'"
            ).fetchall()
        )

    def by_currency(rows_: list[dict[str, Any]], column: str) -> dict[str, Decimal]:
        return {c: sum((r[column] for r in rows_ if r["currency"] == c), Decimal(0)) for c in issued}

    assert len(issued) == 3
    for rows_, column in ((billed, "total_amount"), (ties, "invoiced_amount"), (ties, "booked_amount")):
        assert by_currency(rows_, column) == issued
    for rows_ in (ties, owed):
        assert by_currency(rows_, "outstanding_amount") == receivable
    assert {row["finding"] for row in ties} == {"ties"}
    assert all(0 < row["solar_share_pct"] < 100 for row in billed)
    assert all(0 < row["max_days_overdue"] <= 30 for row in owed)


def test_questions_on_units_meters_and_tickets_are_answered(platform: Platform) -> None:
    units, data, promises = (platform.answer(number) for number in (5, 6, 10))
    for row in units:
        assert 1 < row["kwh_a_day"] < 40 and 0.1 < row["amount_per_kwh"] < 0.6
    assert {row["property_name"] for row in data} == PLACES
    assert {row["property_name"] for row in data if row["missing_intervals"]} == {
        "Wattlebird Terraces (demo)"
    }
    assert [row["estimated_intervals"] for row in data if row["estimated_intervals"]] == [4]
    assert all(99 < row["completeness_pct"] <= 100 for row in data)
    with psycopg.connect(engines.dsn(platform.settings)) as connection:
        tickets = connection.execute("select count(*) from myproperty.service_tickets").fetchone()
    assert (sum(row["opened"] for row in promises),) == tickets
    for row in promises:
        assert row["open_past_target"] <= row["missed_sla"] <= row["opened"]


def test_a_second_run_changes_no_number(platform: Platform) -> None:
    before = platform.query(FACT + " order by 1, 2, 3, 4"), platform.query(MART)
    generate(Path(platform.settings.inbox), "small", DAYS)
    again = ingest_inbox(platform.settings)
    assert {result.status for result in again} == {"unchanged"}
    assert sum(result.accepted + result.new_versions for result in again) == 0
    assert sum(result.unchanged for result in again) == sum(file.readings for file in platform.plan.files)
    assert run_pending(platform.settings) == []
    rebuilt = run_pipeline(platform.plan.start, platform.plan.end, platform.settings)
    assert rebuilt.success, rebuilt.error
    pd.testing.assert_frame_equal(before[0], platform.query(FACT + " order by 1, 2, 3, 4"))
    pd.testing.assert_frame_equal(before[1], platform.query(MART))


def test_a_revised_file_rebuilds_just_the_dates_it_touched(platform: Platform) -> None:
    tenant, site = next(
        (tenant, site)
        for tenant in company("small")
        for site in tenant.sites
        if site.timezone == "Australia/Sydney"
    )
    solar = site.meter("solar")
    day = platform.plan.start + timedelta(days=1)
    (delivered,) = [path for path in archived(platform) if "grid-and-solar" in path.name]
    of_solar = delivered.read_text().split(f"200,{solar.identifier}")[1].split("\n200,")[0].splitlines()
    (record,) = [line for line in of_solar if line.startswith(f"300,{day:%Y%m%d}")]
    values = record.split(",")[2:50]
    values[24] = str(Decimal(values[24]) + Decimal("0.1"))
    revision = f"100,NEM12,202512010000,DEMO,DEMO\n200,{solar.identifier}{of_solar[0]}\n"
    revision += f"300,{day:%Y%m%d},{','.join(values)},A,,,20251201000000,\n900\n"
    inbox = Path(platform.settings.inbox) / tenant.name
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / "20251201-revision.csv").write_text(revision)
    before = platform.query(MART)
    (result,) = ingest_inbox(platform.settings)
    assert (result.new_versions, result.unchanged, result.quarantined) == (1, 47, 0)
    assert result.dates_touched == [day]
    assert pending_dates(platform.settings) == result.dates_touched
    reports = run_pending(platform.settings)
    assert [report.dates for report in reports] == [result.dates_touched]
    changed = before.merge(platform.query(MART), how="outer", indicator=True)
    changed = changed[changed["_merge"] != "both"]
    assert set(changed["reading_date"]) == set(result.dates_touched)
    assert set(changed["property_id"]) == {str(site.id)}


def test_a_price_changed_for_the_past_is_in_the_costs_of_its_dates(platform: Platform) -> None:
    day = platform.plan.start + timedelta(days=3)
    before = platform.query("select sum(cost_amount) as cost from core.fact_energy_daily")
    platform.oltp(
        "update myproperty.rate_plan_bands set unit_amount = unit_amount * 2 "
        "where charge = 'grid' and valid_during @> %s",
        day,
    )
    landing.land("rate_plan_bands", engines.dsn(platform.settings))
    assert day in pending_dates(platform.settings)
    assert all(report.success for report in run_pending(platform.settings))
    assert pending_dates(platform.settings) == []
    after = platform.query("select sum(cost_amount) as cost from core.fact_energy_daily")
    assert after["cost"][0] > before["cost"][0]
    check_costs(platform)


Break = Callable[[Platform, pytest.MonkeyPatch, date], None]


def break_readings(platform: Platform, _: pytest.MonkeyPatch, day: date) -> None:
    """Gate A: the ledger says that readings came, and there is far too much energy in one interval."""
    platform.oltp(
        "update myproperty.meter_readings set value_native = 90000000, value_kwh = 90000000 "
        "where reading_date = %s and channel = 'generation'",
        day,
    )


def break_landing(platform: Platform, patch: pytest.MonkeyPatch, day: date) -> None:
    """Gate B: rows are lost on the way to landing."""
    from data.landing import landing

    land = landing.land

    def lossy(entity: str, dsn: str, start: date | None = None, end: date | None = None) -> int:
        rows = land(entity, dsn, start, end)
        platform.oltp(
            "delete from warehouse_staging.meter_readings where reading_date = %s and channel = 'export'", day
        )
        return rows

    patch.setattr(landing, "land", lossy)


def break_load(_: Platform, patch: pytest.MonkeyPatch, __: date) -> None:
    """Gate C: a load leaves a row out."""
    load = warehouses.PostgresWarehouse.load_partition

    def lossy(self: object, entity: object, rows: object, *rest: object) -> object:
        return load(self, entity, rows.slice(1), *rest)  # type: ignore[arg-type, attr-defined]

    patch.setattr(warehouses.PostgresWarehouse, "load_partition", lossy)


def break_model(platform: Platform, patch: pytest.MonkeyPatch, day: date) -> None:
    """Gate D: a model that makes energy out of nothing."""
    build = assets._build

    def wrong(context: Any, *rest: Any) -> Iterator[Any]:
        yield from build(context, *rest)
        if context.op.name == "dbt_facts":
            with psycopg.connect(engines.dsn(platform.settings, "warehouse")) as connection:
                connection.execute(
                    "update core.fact_energy_usage set value_kwh = value_kwh + 1 where reading_date = %s",
                    (day,),
                )

    patch.setattr(assets, "_build", wrong)


@pytest.fixture
def restored(platform: Platform) -> Iterator[date]:
    """A reading date that a test may break in the OLTP tables: they are as they were afterwards."""
    day = platform.plan.start + timedelta(days=2)
    platform.oltp(
        "create table public.kept as select id, value_native, value_kwh from myproperty.meter_readings "
        f"where reading_date = date '{day}'"
    )
    yield day
    platform.oltp(
        "update myproperty.meter_readings as r set value_native = k.value_native, value_kwh = k.value_kwh "
        f"from public.kept as k where r.id = k.id and r.reading_date = date '{day}'"
    )
    platform.oltp("drop table public.kept")


@pytest.mark.parametrize(
    ("gate", "breaks"),
    [("A", break_readings), ("B", break_landing), ("C", break_load), ("D", break_model)],
)
def test_a_broken_batch_leaves_the_marts_as_they_were(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, restored: date, gate: str, breaks: Break
) -> None:
    before = platform.query(MART)
    breaks(platform, monkeypatch, restored)
    report = run_pipeline(restored, restored + timedelta(days=1), platform.settings)
    assert not report.success
    assert {verdict.gate for verdict in report.failed} == {gate}, report.error
    pd.testing.assert_frame_equal(before, platform.query(MART))


def test_a_mended_batch_is_published_again(platform: Platform) -> None:
    before = platform.query(MART)
    day = platform.plan.start + timedelta(days=2)
    report = run_pipeline(day, day + timedelta(days=1), platform.settings)
    assert report.success, report.error
    pd.testing.assert_frame_equal(before, platform.query(MART))
