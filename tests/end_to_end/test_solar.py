"""Performance, carbon and returns, compared with pvlib, the published factors and numpy-financial."""

from datetime import date
from decimal import Decimal

import pandas as pd
import psycopg
import pytest
from psycopg.rows import dict_row
from pvlib.irradiance import get_extra_radiation, get_total_irradiance
from pvlib.location import Location

from data.demo.assets import ROOFS
from data.demo.company import DemoProperty, list_tenants
from myproperty import engines
from tests.end_to_end.support import DAYS, MART, Platform, rows_of
from tests.returns_by_pandas import fed_in, months
from tests.solar_by_pandas import shared as shared_solar
from tests.warehouse.second_routes import returns_of

pytestmark = [pytest.mark.engine, pytest.mark.slow]

CARBON = """
select property_id, reading_date, avoided_location_kg, avoided_market_kg, exported_location_kg,
    is_market_grid_average, location_factor_id, completeness_pct, estimated_share_pct
from marts.mart_carbon_savings where reading_date >= date '2000-01-01' order by 1, 2
"""
APPRAISALS = """
select a.id::text, a.first_year_kwh, a.price_per_kwh, a.incentives, a.degradation_rate, a.price_growth_rate,
    a.cost_growth_rate, a.discount_rate, a.lifetime_years, a.export_share, a.export_price_per_kwh, a.tax_rate,
    a.replacement_cost, a.replacement_year, a.monthly_shares, lower(a.valid_during) as valid_from,
    sum(c.capital_cost) as capital_cost, sum(c.yearly_cost) as yearly_cost
from myproperty.solar_appraisals a
join myproperty.solar_assets c on c.tenant_id = a.tenant_id and c.property_id = a.property_id
where c.status <> 'planned' and a.capital_cost is null and a.yearly_cost is null
group by a.tenant_id, a.id
"""


def irradiation(site: DemoProperty, day: date) -> float:
    """Compute kWh/m2 of a clear local day on the plane of a site's array with pvlib, minute by minute."""
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
    sites = {str(site.id): site for tenant in list_tenants("small") for site in tenant.sites}
    mart = platform.query(MART)
    # Estimates are not in the files.
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
    # Cloudy winter days on a flat roof of the demo are far below a clear sky.
    assert mart["performance_ratio"].dropna().between(0.05, 1.1).all()


def test_carbon_equals_the_energy_of_the_files_by_the_published_factors(
    platform: Platform, energy_of_files: pd.DataFrame
) -> None:
    """By place: the average of the grid and the residual mix; California has no published residual mix.

    NGA 2024 for New South Wales, eGRID2023 for California, UBA and AIB 2024 for Germany.
    """
    factors = {
        "sydney": (Decimal("0.66"), Decimal("0.81")),
        "los-angeles": (Decimal("0.19504"), None),
        "berlin": (Decimal("0.363"), Decimal("0.72456")),
    }
    sites = {str(site.id): site for tenant in list_tenants("small") for site in tenant.sites}
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


def test_returns_equal_numpy_financial_and_the_solar_shared_by_pandas(platform: Platform) -> None:
    """Appraise with numpy-financial from the owner's assumptions; realised amounts come from the readings."""
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


def test_forecasts_by_month_equal_those_of_each_day(platform: Platform) -> None:
    """Forecast day by day; realised revenue is that of residents and of exports by pandas."""
    dsn = engines.dsn(platform.settings)
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        appraisals = {row["id"]: row for row in connection.execute(APPRAISALS.encode())}
    shared = shared_solar(dsn).groupby(["property_id", "reading_date"])["revenue_amount"].sum().to_dict()
    paid = fed_in(dsn)
    performance = platform.query(MART)
    monthly = platform.query("select * from bi.roi_monthly_v1 order by month_date")
    summary = platform.query(
        "select appraisal_id, realised_revenue_amount from bi.roi_summary_v1 where realised_days > 0"
    )
    realised = dict(zip(summary["appraisal_id"], summary["realised_revenue_amount"], strict=True))
    assert set(monthly["appraisal_id"]) == set(realised)
    assert len(monthly) > 20 and (monthly["feed_in_amount"] > 0).sum() >= 3
    for appraisal_id, of_appraisal in monthly.groupby("appraisal_id"):
        (place,) = set(of_appraisal["property_id"])
        first = appraisals[appraisal_id]["valid_from"]
        days = performance[(performance["property_id"] == place) & (performance["reading_date"] >= first)]
        known = days[days["generation_kwh"].notna()]
        exported = set(days.loc[days["exported_kwh"].notna(), "reading_date"])
        revenue = {
            day: shared.get((place, day), 0) + (paid[place, day] if day in exported else 0)
            for day in known["reading_date"]
        }
        expected = months(appraisals[appraisal_id], revenue, max(days["reading_date"]))
        assert list(of_appraisal["month_date"]) == list(expected)
        to_date = 0.0
        for row in rows_of(of_appraisal):
            month = expected[row.month_date]
            assert row.days == month.days
            for name, value in month.forecast.items():
                assert float(getattr(row, f"forecast_{name}")) == pytest.approx(value, abs=0.0051), name
            if not month.expected:
                assert pd.isna(row.cash_amount) and pd.isna(row.expected_generation_kwh)
                continue
            to_date += month.cash
            for name, value in month.expected.items():
                assert float(getattr(row, f"expected_{name}")) == pytest.approx(value, abs=0.0051), name
            assert float(row.cash_amount) == pytest.approx(month.cash, abs=0.0051)
            assert float(row.cash_to_date_amount) == pytest.approx(to_date, abs=0.0051)
        assert float(realised[appraisal_id]) == pytest.approx(sum(revenue.values()), abs=0.0051)
