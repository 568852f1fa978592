"""Gate D on the candidates of carbon, return and allocation, and on the factors: each rule is broken once."""

from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from expectations.gate import Verdict, run_gate
from expectations.suites.warehouse import candidate_allocation_differences as differences
from expectations.suites.warehouse import candidate_arrears as arrears
from expectations.suites.warehouse import candidate_billing_reconciliation as reconciliation
from expectations.suites.warehouse import candidate_carbon_savings as carbon
from expectations.suites.warehouse import candidate_data_completeness as completeness
from expectations.suites.warehouse import candidate_roi_summary as roi
from expectations.suites.warehouse import candidate_ticket_sla as sla
from expectations.suites.warehouse import emission_factors as factors

Row = dict[str, Any]
DAY: dict[str, Any] = {"date_from": date(2026, 1, 5), "date_to": date(2026, 1, 6)}
FACTOR: Row = {
    "factor_id": "a", "region": "AU-NSW", "year": 2024, "scope": 2, "basis": "location",
    "kg_co2e_per_kwh": 0.66, "source": "somebody", "published": "2024", "licence": "CC-BY-4.0",
}  # fmt: skip
CARBON: Row = {
    "tenant_id": "t1", "property_id": "p1", "reading_date": "2026-01-05", "is_present": True,
    "location_difference_kg": 0.0, "energy_difference_kwh": 0.0, "location_factor_id": "a",
}  # fmt: skip
ROI: Row = {
    "tenant_id": "t1", "appraisal_id": "a", "npv_amount": Decimal("102527.86"), "irr_pct": Decimal("14.1"),
    "discount_pct": Decimal(6), "payback_years": Decimal("7.3844"), "lcoe_per_kwh": Decimal("0.145338"),
    "lifetime_years": 25, "residents_saving_amount": Decimal("12.5"),
}  # fmt: skip
DIFFERENCE: Row = {"tenant_id": "t1", "allocation_id": "a", "finding": "ties"}
COMPLETENESS: Row = {
    "tenant_id": "t1", "meter_id": "m", "channel": "import", "reading_date": "2026-01-05",
    "expected_intervals": 48, "actual_intervals": 47, "estimated_intervals": 2,
}  # fmt: skip
BILL: Row = {"tenant_id": "t1", "invoice_id": "i", "allocation_id": "a", "finding": "ties"}
ARREARS: Row = {"tenant_id": "t1", "currency": "EUR", "ledger_difference": 0.0, "buckets_difference": 0.0}
SLA: Row = {"tenant_id": "t1", "priority": "high", "ticket_difference": 0, "disordered": 0}


def two(row: Row, key: str, changes: Row) -> pd.DataFrame:
    """A right row, and another with the changes."""
    return pd.DataFrame([row, row | {key: "other"} | changes])


def judge(table: str, frame: pd.DataFrame) -> tuple[set[str], Verdict]:
    verdict = run_gate("D", table, frame, **DAY)
    return {failed["rule"] for failed in verdict.failed}, verdict


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
    broken, verdict = judge(factors.TABLE, two(FACTOR, "region", changes))
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
    broken, verdict = judge(carbon.TABLE, two(CARBON, "property_id", changes))
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
    ],
)
def test_roi(changes: Row, rule: str | None, blocks: bool) -> None:
    broken, verdict = judge(roi.TABLE, roi.judged(two(ROI, "appraisal_id", changes)))
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
    broken, verdict = judge(differences.TABLE, two(DIFFERENCE, "allocation_id", changes))
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
    broken, verdict = judge(completeness.TABLE, completeness.judged(two(COMPLETENESS, "meter_id", changes)))
    assert broken == ({rule} if rule else set())
    assert verdict.passed != blocks


@pytest.mark.parametrize(
    ("judged", "key", "changes", "rule", "blocks"),
    [
        ((reconciliation, BILL), "invoice_id", {"finding": "unknown"}, None, False),
        ((reconciliation, BILL), "invoice_id", {"finding": "not billed"}, None, False),
        ((reconciliation, BILL), "invoice_id", {"invoice_id": "i"}, "D-BILLING-001", True),
        ((reconciliation, BILL), "invoice_id", {"finding": "invoice to ledger"}, "D-BILLING-002", True),
        ((reconciliation, BILL), "invoice_id", {"finding": "meter to allocation"}, "D-BILLING-003", False),
        ((arrears, ARREARS), "currency", {}, None, False),
        ((arrears, ARREARS), "currency", {"ledger_difference": -0.01}, "D-ARREARS-001", True),
        ((arrears, ARREARS), "currency", {"buckets_difference": 0.01}, "D-ARREARS-002", True),
        ((sla, SLA), "priority", {}, None, False),
        ((sla, SLA), "priority", {"ticket_difference": -1}, "D-SLA-001", True),
        ((sla, SLA), "priority", {"disordered": 1}, "D-SLA-002", True),
    ],
)
def test_bills_arrears_and_tickets(
    judged: tuple[Any, Row], key: str, changes: Row, rule: str | None, blocks: bool
) -> None:
    suite, row = judged
    broken, verdict = judge(suite.TABLE, two(row, key, changes))
    assert broken == ({rule} if rule else set())
    assert verdict.passed != blocks


@pytest.mark.parametrize(
    "suite", [factors, carbon, roi, differences, completeness, reconciliation, arrears, sla]
)
def test_each_rule_that_is_written_down_is_judged(suite: Any) -> None:
    judged = {expectation.meta["rule"] for expectation in suite.build_suite().expectations}
    assert judged == {rule.id for rule in suite.RULES.values()}
