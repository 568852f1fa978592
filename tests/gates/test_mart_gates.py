"""Break each rule of gate D once: candidates of marts and the emission factors. No engine is needed."""

from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from expectations.frames import prepare_frame
from expectations.gate import run_gate
from expectations.rules import GateRule, WarehouseSuite, is_zero
from expectations.suites import warehouse_suites
from expectations.suites.warehouse.candidate_allocation_differences import SUITE as DIFFERENCES
from expectations.suites.warehouse.candidate_arrears import SUITE as ARREARS
from expectations.suites.warehouse.candidate_billing_reconciliation import SUITE as RECONCILIATION
from expectations.suites.warehouse.candidate_carbon_savings import SUITE as CARBON
from expectations.suites.warehouse.candidate_data_completeness import SUITE as COMPLETENESS
from expectations.suites.warehouse.candidate_roi_monthly import SUITE as MONTHS
from expectations.suites.warehouse.candidate_roi_summary import SUITE as ROI
from expectations.suites.warehouse.candidate_ticket_sla import SUITE as SLA
from expectations.suites.warehouse.emission_factors import SUITE as FACTORS
from expectations.verdicts import Verdict

Row = dict[str, Any]
DAY: dict[str, Any] = {"date_from": date(2026, 1, 5), "date_to": date(2026, 1, 6)}
FACTOR_ROW: Row = {
    "factor_id": "a", "region": "AU-NSW", "year": 2024, "scope": 2, "basis": "location",
    "kg_co2e_per_kwh": 0.66, "source": "somebody", "published": "2024", "licence": "CC-BY-4.0",
}  # fmt: skip
CARBON_ROW: Row = {
    "tenant_id": "t1", "property_id": "p1", "reading_date": "2026-01-05", "is_present": True,
    "location_difference_kg": 0.0, "energy_difference_kwh": 0.0, "location_factor_id": "a",
}  # fmt: skip
ROI_ROW: Row = {
    "tenant_id": "t1", "appraisal_id": "a", "npv_amount": Decimal("102527.86"), "irr_pct": Decimal("14.1"),
    "discount_pct": Decimal(6), "payback_years": Decimal("7.3844"), "lcoe_per_kwh": Decimal("0.145338"),
    "price_per_kwh": Decimal("0.30"), "lifetime_years": 25, "residents_saving_amount": Decimal("12.5"),
    "export_price_per_kwh": Decimal("0.08"),
}  # fmt: skip
MONTH_ROW: Row = {
    "tenant_id": "t1", "appraisal_id": "a", "month_date": "2026-01-01", "realised_days": 31.0, "days": 31.0,
    "revenue_difference": 0.01, "feed_in_excess": 0.005, "generation_ratio": 0.9,
}  # fmt: skip
DIFFERENCE_ROW: Row = {"tenant_id": "t1", "allocation_id": "a", "finding": "ties"}
COMPLETENESS_ROW: Row = {
    "tenant_id": "t1", "meter_id": "m", "channel": "import", "reading_date": "2026-01-05",
    "expected_intervals": 48, "actual_intervals": 47, "estimated_intervals": 2,
}  # fmt: skip
BILL_ROW: Row = {"tenant_id": "t1", "invoice_id": "i", "allocation_id": "a", "finding": "ties"}
ARREARS_ROW: Row = {"tenant_id": "t1", "currency": "EUR", "ledger_difference": 0.0, "buckets_difference": 0.0}
SLA_ROW: Row = {"tenant_id": "t1", "priority": "high", "ticket_difference": 0, "disordered": 0}


def zero_column(rule: GateRule) -> str:
    """Return the column of a rule, or "" if it has several."""
    return str(rule.condition.arguments.get("column", ""))


# Suites in which each rule says that one count is zero: these need no test of their own.
ZERO_SUITES = [
    suite
    for suite in warehouse_suites()
    if suite.derive is None and all(rule.condition == is_zero(zero_column(rule)) for rule in suite.rules)
]


def run_on(suite: WarehouseSuite, row: Row, key: str, changes: Row) -> tuple[set[str], Verdict]:
    """Run the gate on a correct row and on another with the changes; return the rules broken."""
    frame = prepare_frame(suite, pd.DataFrame([row, row | {key: "other"} | changes]))
    verdict = run_gate(suite, frame, **DAY)
    return {failed["rule"] for failed in verdict.failed}, verdict


@pytest.mark.parametrize("suite", ZERO_SUITES, ids=lambda suite: suite.table)
def test_each_count_that_must_be_zero_breaks_its_own_rule(suite: WarehouseSuite) -> None:
    columns = {zero_column(rule): rule.id for rule in suite.rules}
    row = dict.fromkeys(suite.id_columns, "one") | dict.fromkeys(columns, 0)
    key = suite.id_columns[-1]
    assert run_on(suite, row, key, {})[0] == set()
    for column, rule in columns.items():
        assert run_on(suite, row, key, {column: 1})[0] == {rule}, f"{rule} must look at {column} alone"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({}, None),
        ({"region": "AU-NSW"}, "D-FACTOR-001"),
        ({"kg_co2e_per_kwh": 430.0}, "D-FACTOR-002"),
        ({"source": None}, "D-FACTOR-003"),
        ({"published": None}, "D-FACTOR-004"),
        ({"licence": None}, "D-FACTOR-005"),
    ],
)
def test_factors(changes: Row, rule: str | None) -> None:
    broken, verdict = run_on(FACTORS, FACTOR_ROW, "region", changes)
    assert broken == ({rule} if rule else set())
    assert verdict.passed == (rule is None)


@pytest.mark.parametrize(
    ("changes", "rule", "blocks"),
    [
        ({}, None, False),
        ({"is_present": False}, "D-CARBON-001", True),
        ({"property_id": "p1"}, "D-CARBON-002", True),
        ({"location_difference_kg": 0.001}, "D-CARBON-003", True),
        ({"energy_difference_kwh": 0.001}, "D-CARBON-004", True),
        ({"location_factor_id": None, "location_difference_kg": None}, "D-CARBON-005", False),
    ],
)
def test_carbon(changes: Row, rule: str | None, blocks: bool) -> None:
    broken, verdict = run_on(CARBON, CARBON_ROW, "property_id", changes)
    assert broken == ({rule} if rule else set())
    assert verdict.passed != blocks


@pytest.mark.parametrize(
    ("changes", "rule", "blocks"),
    [
        ({}, None, False),
        ({"npv_amount": None, "irr_pct": None, "payback_years": None, "lcoe_per_kwh": None}, None, False),
        ({"irr_pct": Decimal("6.000001"), "npv_amount": Decimal("-0.01")}, None, False),
        ({"appraisal_id": "a"}, "D-ROI-001", True),
        ({"npv_amount": Decimal("-1")}, "D-ROI-002", True),
        ({"irr_pct": Decimal("150")}, "D-ROI-003", True),
        ({"payback_years": Decimal("25.1")}, "D-ROI-004", True),
        ({"lcoe_per_kwh": Decimal("-0.1")}, "D-ROI-005", True),
        ({"residents_saving_amount": Decimal("-0.01")}, "D-ROI-006", False),
        ({"irr_pct": None, "price_per_kwh": Decimal(100)}, "D-ROI-007", True),
        ({"export_price_per_kwh": None}, None, False),
        ({"export_price_per_kwh": Decimal(8)}, "D-ROI-008", True),
    ],
)
def test_roi(changes: Row, rule: str | None, blocks: bool) -> None:
    broken, verdict = run_on(ROI, ROI_ROW, "appraisal_id", changes)
    assert broken == ({rule} if rule else set())
    assert verdict.passed != blocks


@pytest.mark.parametrize(
    ("changes", "rule", "blocks"),
    [
        ({}, None, False),
        ({"realised_days": None, "generation_ratio": None}, None, False),
        ({"appraisal_id": "a"}, "D-MONTH-001", True),
        ({"realised_days": 32.0}, "D-MONTH-002", True),
        ({"revenue_difference": -0.02}, "D-MONTH-003", True),
        ({"feed_in_excess": 0.02}, "D-MONTH-004", True),
        ({"generation_ratio": 10.0}, "D-MONTH-005", False),
    ],
)
def test_months(changes: Row, rule: str | None, blocks: bool) -> None:
    broken, verdict = run_on(MONTHS, MONTH_ROW, "appraisal_id", changes)
    assert broken == ({rule} if rule else set())
    assert verdict.passed != blocks


@pytest.mark.parametrize(
    ("changes", "rule", "blocks"),
    [
        ({}, None, False),
        ({"finding": "readings revised"}, None, False),
        ({"finding": "unknown"}, None, False),
        ({"allocation_id": "a"}, "D-ALLOCATION-001", True),
        ({"finding": "unexplained"}, "D-ALLOCATION-002", False),
    ],
)
def test_allocation(changes: Row, rule: str | None, blocks: bool) -> None:
    broken, verdict = run_on(DIFFERENCES, DIFFERENCE_ROW, "allocation_id", changes)
    assert broken == ({rule} if rule else set())
    assert verdict.passed != blocks


@pytest.mark.parametrize(
    ("changes", "rule", "blocks"),
    [
        ({}, None, False),
        ({"meter_id": "m"}, "D-COMPLETENESS-001", True),
        ({"actual_intervals": 49}, "D-COMPLETENESS-002", True),
        ({"estimated_intervals": 48}, "D-COMPLETENESS-002", True),
        ({"actual_intervals": 0, "estimated_intervals": 0}, "D-COMPLETENESS-003", False),
    ],
)
def test_completeness(changes: Row, rule: str | None, blocks: bool) -> None:
    broken, verdict = run_on(COMPLETENESS, COMPLETENESS_ROW, "meter_id", changes)
    assert broken == ({rule} if rule else set())
    assert verdict.passed != blocks


@pytest.mark.parametrize(
    ("case", "key", "changes", "rule", "blocks"),
    [
        ((RECONCILIATION, BILL_ROW), "invoice_id", {"finding": "unknown"}, None, False),
        ((RECONCILIATION, BILL_ROW), "invoice_id", {"finding": "not billed"}, None, False),
        ((RECONCILIATION, BILL_ROW), "invoice_id", {"invoice_id": "i"}, "D-BILLING-001", True),
        ((RECONCILIATION, BILL_ROW), "invoice_id", {"finding": "invoice to ledger"}, "D-BILLING-002", True),
        (
            (RECONCILIATION, BILL_ROW),
            "invoice_id",
            {"finding": "meter to allocation"},
            "D-BILLING-003",
            False,
        ),
        ((ARREARS, ARREARS_ROW), "currency", {}, None, False),
        ((ARREARS, ARREARS_ROW), "currency", {"ledger_difference": -0.01}, "D-ARREARS-001", True),
        ((ARREARS, ARREARS_ROW), "currency", {"buckets_difference": 0.01}, "D-ARREARS-002", True),
        ((SLA, SLA_ROW), "priority", {}, None, False),
        ((SLA, SLA_ROW), "priority", {"ticket_difference": -1}, "D-SLA-001", True),
        ((SLA, SLA_ROW), "priority", {"disordered": 1}, "D-SLA-002", True),
    ],
)
def test_bills_arrears_and_tickets(
    case: tuple[WarehouseSuite, Row], key: str, changes: Row, rule: str | None, blocks: bool
) -> None:
    broken, verdict = run_on(*case, key, changes)
    assert broken == ({rule} if rule else set())
    assert verdict.passed != blocks
