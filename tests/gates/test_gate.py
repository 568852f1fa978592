"""Each rule of each gate is broken by a wrong batch, and says so. No engine is needed here."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from data.landing.entities import ENTITIES
from expectations.frames import canonical, compare
from expectations.gate import GateFailed, Verdict, load_suite, run_gate
from expectations.suites.oltp import meter_readings as readings
from expectations.suites.warehouse import candidate_solar_performance as solar
from expectations.suites.warehouse import fact_energy_usage as fact

DAY: dict[str, Any] = {"date_from": date(2026, 1, 5), "date_to": date(2026, 1, 6)}


def broken(verdict: Verdict) -> set[str]:
    return {failed["rule"] for failed in verdict.failed}


def readings_profile(**changes: Any) -> pd.DataFrame:
    """Two meter-days of a right profile; `changes` go into the second."""
    row: dict[str, Any] = dict.fromkeys(readings.COLUMNS, 0)
    row |= {
        "tenant_id": "t1",
        "meter_id": "m1",
        "channel": "import",
        "reading_date": "2026-01-05",
        "rows": 288,
    }
    return pd.DataFrame([row, row | {"meter_id": "m2"} | changes])


def copied(table: str, **changes: Any) -> pd.DataFrame:
    """A right copy of two tenants; `changes` go into the copy's second row."""
    suite = load_suite("B", table)
    row = {"tenant_id": "t1", "reading_date": date(2026, 1, 5)}
    row |= {measure: 7 if measure == "rows" else Decimal("7.500") for measure in suite.MEASURES}
    source = pd.DataFrame([row, row | {"tenant_id": "t2"}])
    target = pd.DataFrame([row, row | {"tenant_id": "t2"} | changes])
    return compare(source, target, suite.ID_COLUMNS, suite.MEASURES)


def fact_frame(**changes: Any) -> pd.DataFrame:
    raw: dict[str, Any] = {"tenant_id": "t1", "reading_date": "2026-01-05", "channel": "generation"}
    raw |= {"row_count": 288, "value_kwh": Decimal("21.250000000")}
    built = raw | {"row_count": Decimal(288)} | dict.fromkeys(fact.COUNTS, Decimal(0)) | changes
    return fact.judged(pd.DataFrame([raw]), pd.DataFrame([built]))


def solar_frame(**changes: Any) -> pd.DataFrame:
    row: dict[str, Any] = {
        "tenant_id": "t1",
        "property_id": "p1",
        "reading_date": "2026-01-05",
        "is_present": True,
    }
    row |= {
        "generation_kwh": Decimal("50"),
        "self_consumed_kwh": Decimal("50"),
        "exported_kwh": Decimal("0"),
        "imported_kwh": Decimal("3.2"),
        "specific_yield_kwh_per_kw": Decimal("5"),
        "completeness_pct": Decimal("100"),
        "estimated_share_pct": Decimal("0"),
        "fact_generation_kwh": Decimal("50.0000001"),
    }
    return solar.judged(pd.DataFrame([row, row | {"property_id": "p2"} | changes]))


def test_right_profile_passes_gate_a() -> None:
    verdict = run_gate("A", "meter_readings", readings_profile(), **DAY)
    assert verdict.passed
    assert verdict.failed == []
    assert (verdict.expectations, verdict.rows) == (12, 576)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"rows": 0}, "A-READINGS-001"),
        ({"rows_without_quality": 1}, "A-READINGS-002"),
        ({"rows_null_mismatch": 1}, "A-READINGS-003"),
        ({"negative_rows": 2}, "A-READINGS-004"),
        ({"rows_kwh_mismatch": 1}, "A-READINGS-005"),
        ({"future_rows": 1}, "A-READINGS-006"),
        ({"wrong_date_rows": 4}, "A-READINGS-007"),
        ({"wrong_interval_rows": 1}, "A-READINGS-008"),
        ({"duplicate_rows": 1}, "A-READINGS-009"),
        ({"unknown_meter_rows": 1}, "A-READINGS-010"),
        ({"implausible_rows": 1}, "A-READINGS-011"),
        ({"uncovered_seconds": -300}, "A-READINGS-012"),
    ],
)
def test_gate_a_catches(change: dict[str, int], rule: str) -> None:
    verdict = run_gate("A", "meter_readings", readings_profile(**change), **DAY)
    assert not verdict.passed
    assert broken(verdict) == {rule}
    (failed,) = verdict.failed
    assert failed["unexpected_count"] == 1
    assert failed["sample"][0]["meter_id"] == "m2"
    assert failed["sample"][0][next(iter(change))] == next(iter(change.values()))


@pytest.mark.parametrize("gate", ["B", "C"])
@pytest.mark.parametrize("table", ENTITIES)
def test_a_right_copy_passes_and_a_wrong_one_breaks_its_rule(gate: str, table: str) -> None:
    name = table.upper().replace("_", "-")
    frame = copied(table)
    assert run_gate(gate, table, frame, **DAY).passed
    for number, measure in enumerate(load_suite(gate, table).MEASURES, start=2):
        wrong = 8 if measure == "rows" else Decimal("7.500000001")
        verdict = run_gate(gate, table, copied(table, **{measure: wrong}), **DAY)
        assert broken(verdict) == {f"{gate}-{name}-{number:03d}"}, measure
        assert verdict.failed[0]["sample"][0]["tenant_id"] == "t2"


def test_gate_b_catches_a_missing_tenant() -> None:
    suite = load_suite("B", "meter_readings")
    row = {
        "tenant_id": "t1",
        "reading_date": "2026-01-05",
        "rows": 96,
        "sum_value_kwh": 1,
        "sum_value_native": 1,
        "checksum": 9,
    }
    frame = compare(
        pd.DataFrame([row, row | {"tenant_id": "t2"}]), pd.DataFrame([row]), suite.ID_COLUMNS, suite.MEASURES
    )
    verdict = run_gate("B", "meter_readings", frame, **DAY)
    assert not verdict.passed
    assert "B-METER-READINGS-001" in broken(verdict)
    assert len(broken(verdict)) == 1 + len(suite.MEASURES)


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ({"channel": "export"}, {"D-FACT-001", "D-FACT-002", "D-FACT-003"}),
        ({"row_count": 287}, {"D-FACT-002"}),
        ({"value_kwh": Decimal("21.25") + Decimal("1e-9")}, {"D-FACT-003"}),
        ({"duplicate_rows": 1}, {"D-FACT-004"}),
        ({"negative_rows": 1}, {"D-FACT-005"}),
        ({"rows_without_quality": 1}, {"D-FACT-006"}),
    ],
)
def test_gate_d_catches_a_wrong_fact(change: dict[str, Any], rules: set[str]) -> None:
    assert run_gate("D", fact.TABLE, fact_frame(), **DAY).passed
    verdict = run_gate("D", fact.TABLE, fact_frame(**change), **DAY)
    assert not verdict.passed
    assert broken(verdict) == rules


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ({"is_present": False}, {"D-SOLAR-001"}),
        ({"property_id": "p1"}, {"D-SOLAR-002"}),
        ({"self_consumed_kwh": Decimal("-0.1")}, {"D-SOLAR-003"}),
        ({"self_consumed_kwh": Decimal("50.1")}, {"D-SOLAR-004"}),
        ({"exported_kwh": Decimal("50.1")}, {"D-SOLAR-005"}),
        ({"specific_yield_kwh_per_kw": Decimal("9.01")}, {"D-SOLAR-006"}),
        ({"completeness_pct": Decimal("100.01")}, {"D-SOLAR-007"}),
        ({"estimated_share_pct": Decimal("-1")}, {"D-SOLAR-008"}),
        ({"fact_generation_kwh": Decimal("50.001")}, {"D-SOLAR-009"}),
    ],
)
def test_gate_d_catches_a_wrong_candidate(change: dict[str, Any], rules: set[str]) -> None:
    assert run_gate("D", solar.TABLE, solar_frame(), **DAY).passed
    verdict = run_gate("D", solar.TABLE, solar_frame(**change), **DAY)
    assert not verdict.passed
    assert broken(verdict) == rules


def test_figures_that_are_null_for_want_of_data_are_no_failure() -> None:
    kpis = dict.fromkeys(
        (
            "generation_kwh",
            "self_consumed_kwh",
            "exported_kwh",
            "specific_yield_kwh_per_kw",
            "estimated_share_pct",
        )
    )
    assert run_gate("D", solar.TABLE, solar_frame(**kpis, completeness_pct=Decimal("12.5")), **DAY).passed


def test_export_above_generation_is_let_pass_on_a_day_with_gaps() -> None:
    gaps = {"exported_kwh": Decimal("50.1"), "completeness_pct": Decimal("80")}
    assert run_gate("D", solar.TABLE, solar_frame(**gaps), **DAY).passed


@pytest.mark.parametrize(
    ("gate", "table", "empty"),
    [
        ("A", "meter_readings", lambda: readings_profile().iloc[:0]),
        ("B", "meters", lambda: copied("meters").iloc[:0]),
        ("D", solar.TABLE, lambda: solar_frame().iloc[:0]),
    ],
)
def test_no_rows_fail_where_rows_were_expected(
    gate: str, table: str, empty: Callable[[], pd.DataFrame]
) -> None:
    verdict = run_gate(gate, table, empty(), rows_expected=True, **DAY)
    assert not verdict.passed
    assert broken(verdict) == {f"{gate}-ROWS-000"}
    assert run_gate(gate, table, empty(), rows_expected=False, **DAY).passed


def test_an_expectation_that_cannot_be_evaluated_has_failed() -> None:
    verdict = run_gate("A", "meter_readings", readings_profile().drop(columns="future_rows"), **DAY)
    assert broken(verdict) == {"A-READINGS-006"}
    assert "could not be evaluated" in verdict.failed[0]["observed"]


def test_the_message_tells_what_to_do() -> None:
    verdict = run_gate("A", "meter_readings", readings_profile(negative_rows=3), **DAY)
    message = verdict.message
    for part in ("Gate A", "meter_readings", "2026-01-05", "A-READINGS-004", "m2", "next: ", "FAILED"):
        assert part in message
    assert str(GateFailed([verdict])) == message


def test_samples_hold_the_columns_of_the_rule_alone() -> None:
    frame = readings_profile(negative_rows=3).assign(name="a person", serial_number="S-1")
    (failed,) = run_gate("A", "meter_readings", frame, **DAY).failed
    assert set(failed["sample"][0]) == {*readings.ID_COLUMNS, "negative_rows"}


def test_an_unknown_suite_is_named() -> None:
    with pytest.raises(KeyError, match="no_such_entity"):
        load_suite("B", "no_such_entity")
    with pytest.raises(KeyError, match=r"expectations/suites/warehouse/no_such_fact\.py"):
        load_suite("D", "no_such_fact")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1.500000000"), "1.5"),
        (Decimal("100"), "100"),
        (Decimal("0E-9"), "0"),
        (12.0, "12"),
        (None, "missing"),
        (float("nan"), "missing"),
        (date(2026, 1, 5), "2026-01-05"),
    ],
)
def test_canonical_text(value: Any, text: str) -> None:
    assert canonical(value) == text


def test_rule_ids_are_unique() -> None:
    tables = [("A", "meter_readings"), ("D", fact.TABLE), ("D", solar.TABLE)]
    tables += [(gate, table) for gate in "BC" for table in ENTITIES]
    ids = [
        expectation.meta["rule"]
        for gate, table in tables
        for expectation in load_suite(gate, table).build_suite().expectations
    ]
    assert len(ids) == len(set(ids))
    assert len(ids) == 12 + 6 + 9 + 2 * sum(3 + len(entity.measures) for entity in ENTITIES.values())
