"""Break each rule of gates A to C and of the fact and solar suites once. No engine is needed."""

from collections import Counter
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any
from unittest.mock import Mock

import pandas as pd
import pytest

from data.landing.entities import ENTITIES
from expectations.frames import canonical_text, compare_frames, prepare_frame, read_warehouse_frame
from expectations.gate import run_gate, run_gate_of_copies
from expectations.judge import find_judge, judging_apart
from expectations.rules import GateSuite
from expectations.suites import load_suite, warehouse_suites
from expectations.suites.oltp import meter_readings as readings
from expectations.suites.warehouse.candidate_solar_performance import SUITE as SOLAR
from expectations.suites.warehouse.fact_energy_usage import SUITE as FACT
from expectations.validation import SAMPLE_SIZE, build_gx_suite, gates_project, rule_id, validate_frame
from expectations.verdicts import Verdict
from myproperty.dates import Window

DAY: dict[str, Any] = {"date_from": date(2026, 1, 5), "date_to": date(2026, 1, 6)}


def broken(verdict: Verdict) -> set[str]:
    return {failed["rule"] for failed in verdict.failed}


def readings_profile(**changes: Any) -> pd.DataFrame:
    """Return two rows of a correct profile; `changes` apply to the second."""
    row: dict[str, Any] = dict.fromkeys(readings.COLUMNS, 0) | {"silent_sender": None}
    row |= {
        "tenant_id": "t1",
        "meter_id": "m1",
        "channel": "import",
        "reading_date": "2026-01-05",
        "rows": 288,
    }
    return pd.DataFrame([row, row | {"meter_id": "m2"} | changes])


def copied(table: str, *, wrong: bool = False) -> pd.DataFrame:
    """Compare the fingerprints of `sides_of`."""
    suite = load_suite("B", table)
    return compare_frames(*sides_of(table, wrong=wrong), suite.id_columns, suite.measures)


def sides_of(table: str, *, wrong: bool = False) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return source and copy: tenant t1, and one tenant for each measure, `wrong` in the copy."""
    suite = load_suite("B", table)
    right = {"tenant_id": "t1", "reading_date": date(2026, 1, 5)}
    right |= {measure: 7 if measure == "rows" else Decimal("7.500") for measure in suite.measures}
    source, target = [right], [right]
    for measure in suite.measures:
        source.append(right | {"tenant_id": measure})
        changed = 8 if measure == "rows" else Decimal("7.500000001")
        target.append(source[-1] | ({measure: changed} if wrong else {}))
    return pd.DataFrame(source), pd.DataFrame(target)


def fact_frame(**changes: Any) -> pd.DataFrame:
    raw: dict[str, Any] = {"tenant_id": "t1", "reading_date": "2026-01-05", "channel": "generation"}
    raw |= {"row_count": 288, "value_kwh": Decimal("21.250000000"), "held_kwh": Decimal(7)}
    built = raw | {"row_count": Decimal(288)} | dict.fromkeys(FACT.counts, Decimal(0)) | changes
    return prepare_frame(FACT, pd.DataFrame([built]), source=pd.DataFrame([raw]))


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
        "battery_kw": None,
    }
    return prepare_frame(SOLAR, pd.DataFrame([row, row | {"property_id": "p2"} | changes]))


def test_a_correct_profile_passes_gate_a() -> None:
    verdict = run_gate(readings.SUITE, readings_profile(), **DAY)
    assert verdict.passed
    assert verdict.failed == []
    assert (verdict.expectations, verdict.rows) == (13, 576)


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
    verdict = run_gate(readings.SUITE, readings_profile(**change), **DAY)
    assert not verdict.passed
    assert broken(verdict) == {rule}
    (failed,) = verdict.failed
    assert failed["unexpected_count"] == 1
    assert failed["sample"][0]["meter_id"] == "m2"
    assert failed["sample"][0][next(iter(change))] == next(iter(change.values()))


@pytest.mark.parametrize("gate", ["B", "C"])
def test_a_correct_copy_passes(gate: str) -> None:
    assert run_gate(load_suite(gate, "meter_readings"), copied("meter_readings"), **DAY).passed


@pytest.mark.parametrize("gate", ["B", "C"])
@pytest.mark.parametrize("table", ENTITIES)
def test_a_wrong_measure_of_a_copy_breaks_its_rule_alone(gate: str, table: str) -> None:
    """The other rows of the copy are correct: the rules pass for them."""
    suite = load_suite(gate, table)
    name = table.upper().replace("_", "-")
    verdict = run_gate(suite, copied(table, wrong=True), **DAY)
    assert not verdict.passed
    found = {failed["rule"]: [row["tenant_id"] for row in failed["sample"]] for failed in verdict.failed}
    numbered = enumerate(suite.measures, start=2)
    assert found == {f"{gate}-{name}-{number:03d}": [measure] for number, measure in numbered}
    assert [failed["unexpected_count"] for failed in verdict.failed] == [1] * len(suite.measures)


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
    frame = compare_frames(
        pd.DataFrame([row, row | {"tenant_id": "t2"}]), pd.DataFrame([row]), suite.id_columns, suite.measures
    )
    verdict = run_gate(suite, frame, **DAY)
    assert not verdict.passed
    assert "B-METER-READINGS-001" in broken(verdict)
    assert len(broken(verdict)) == 1 + len(suite.measures)


def test_a_correct_fact_and_a_correct_candidate_pass() -> None:
    assert run_gate(FACT, fact_frame(), **DAY).passed
    assert run_gate(SOLAR, solar_frame(), **DAY).passed


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ({"channel": "export"}, {"D-FACT-001", "D-FACT-002", "D-FACT-003", "D-FACT-007"}),
        ({"row_count": 287}, {"D-FACT-002"}),
        ({"value_kwh": Decimal("21.25") + Decimal("1e-9")}, {"D-FACT-003"}),
        ({"duplicate_rows": 1}, {"D-FACT-004"}),
        ({"negative_rows": 1}, {"D-FACT-005"}),
        ({"rows_without_quality": 1}, {"D-FACT-006"}),
        ({"held_kwh": Decimal(0)}, {"D-FACT-007"}),
    ],
)
def test_gate_d_catches_a_wrong_fact(change: dict[str, Any], rules: set[str]) -> None:
    verdict = run_gate(FACT, fact_frame(**change), **DAY)
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
    verdict = run_gate(SOLAR, solar_frame(**change), **DAY)
    assert not verdict.passed
    assert broken(verdict) == rules


def test_figures_that_are_null_without_sufficient_data_pass() -> None:
    kpis = dict.fromkeys(
        (
            "generation_kwh",
            "self_consumed_kwh",
            "exported_kwh",
            "specific_yield_kwh_per_kw",
            "estimated_share_pct",
        )
    )
    assert run_gate(SOLAR, solar_frame(**kpis, completeness_pct=Decimal("12.5")), **DAY).passed


@pytest.mark.parametrize(
    ("battery_kw", "exported", "used", "rules"),
    [
        ("5", "150", "-100", set()),
        ("5", "175.1", "-125.1", {"D-SOLAR-003", "D-SOLAR-005"}),
        (None, "50.1", "-0.1", {"D-SOLAR-003", "D-SOLAR-005"}),
    ],
)
def test_a_battery_exports_energy_of_other_days_up_to_its_power(
    battery_kw: str | None, exported: str, used: str, rules: set[str]
) -> None:
    figures = {
        "battery_kw": battery_kw and Decimal(battery_kw),
        "exported_kwh": Decimal(exported),
        "self_consumed_kwh": Decimal(used),
    }
    assert broken(run_gate(SOLAR, solar_frame(**figures), **DAY)) == rules


def test_export_above_generation_passes_on_a_day_with_gaps() -> None:
    gaps = {"exported_kwh": Decimal("50.1"), "completeness_pct": Decimal("80")}
    assert run_gate(SOLAR, solar_frame(**gaps), **DAY).passed


@pytest.mark.parametrize(
    ("suite", "empty"),
    [
        (readings.SUITE, lambda: readings_profile().iloc[:0]),
        (load_suite("B", "meters"), lambda: copied("meters").iloc[:0]),
        (SOLAR, lambda: solar_frame().iloc[:0]),
    ],
)
def test_an_empty_frame_fails_where_rows_are_expected(
    suite: GateSuite, empty: Callable[[], pd.DataFrame]
) -> None:
    verdict = run_gate(suite, empty(), rows_expected=True, **DAY)
    assert not verdict.passed
    assert broken(verdict) == {f"{suite.gate}-ROWS-000"}
    assert run_gate(suite, empty(), rows_expected=False, **DAY).passed


@pytest.mark.parametrize(
    "frame",
    [
        readings_profile(),
        readings_profile(negative_rows=2, uncovered_seconds=-300),
        readings_profile(rows=0).drop(columns="future_rows"),
        readings_profile().drop(columns="meter_id"),
    ],
    ids=["correct", "two broken", "no column", "no id column"],
)
def test_the_results_are_those_of_one_whole_validation(frame: pd.DataFrame) -> None:
    """The counting first validation and the computed configurations change no result."""
    import great_expectations as gx  # takes seconds, and each worker imports each test module

    details = {
        "result_format": "COMPLETE",
        "partial_unexpected_count": SAMPLE_SIZE,
        "unexpected_index_column_names": list(readings.SUITE.id_columns),
    }
    batch = gx.get_context(mode="ephemeral").data_sources.pandas_default.read_dataframe(frame)
    whole = batch.validate(build_gx_suite(readings.SUITE), result_format=details).results
    expected = {rule_id(each): each for each in (result.to_json_dict() for result in whole)}
    for result in validate_frame(readings.SUITE, frame):
        other = expected.pop(rule_id(result))
        assert result["success"] == other["success"]
        if not result["success"]:
            assert result["result"] == other["result"]
            assert bool(result["exception_info"]) == bool(other["exception_info"])
    assert expected == {}


UNDATED = [name for name, entity in ENTITIES.items() if not entity.is_dated]


@pytest.mark.parametrize(
    "case", ["all equal", "all wrong", "one wrong", "one without rows", "one lost a tenant"]
)
def test_many_copies_judged_at_once_have_the_verdicts_of_each_by_itself(case: str) -> None:
    wrong = {"all wrong": UNDATED, "one wrong": UNDATED[5:6]}.get(case, [])
    sides = {table: sides_of(table, wrong=table in wrong) for table in UNDATED}
    if case == "one without rows":
        sides |= {"tenants": (sides["tenants"][0].iloc[:0], sides["tenants"][1].iloc[:0])}
    if case == "one lost a tenant":
        sides |= {"units": (sides["units"][0], sides["units"][1].iloc[1:])}
    suites = [load_suite("B", table) for table in UNDATED]
    found = run_gate_of_copies(suites, [*sides.values()], run_id="run-1")
    assert any(verdict.failed for verdict in found) == (case != "all equal")
    for suite, verdict in zip(suites, found, strict=True):
        frame = compare_frames(*sides[suite.table], suite.id_columns, suite.measures)
        alone = run_gate(suite, frame, run_id="run-1")
        assert timeless(verdict) == timeless(alone)
        assert verdict.message == alone.message


def timeless(verdict: Verdict) -> dict[str, Any]:
    return {name: value for name, value in verdict.as_json().items() if name not in ("seconds", "checked_at")}


def test_a_gate_runs_a_checkpoint_of_the_project_and_leaves_no_rows_there() -> None:
    run_gate(readings.SUITE, readings_profile(), **DAY)
    run_gate(readings.SUITE, readings_profile(negative_rows=3), **DAY)
    context, _ = gates_project()
    rules = {
        checkpoint.name: len(checkpoint.validation_definitions[0].suite.expectations)
        for checkpoint in context.checkpoints.all()
    }
    assert rules["A-meter_readings"] == len(readings.SUITE.rules)
    assert rules["A-meter_readings-samples"] == 1
    assert context.validation_results_store.list_keys() == []


def test_a_process_beside_gives_the_same_results_and_its_end_stops_no_gate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frames = (readings_profile(), readings_profile(negative_rows=3), fact_frame(value_kwh=Decimal(1)))
    suites = (readings.SUITE, readings.SUITE, FACT)
    alone = [seen(validate_frame(suite, frame)) for suite, frame in zip(suites, frames, strict=True)]
    with judging_apart():
        with monkeypatch.context() as patched:
            patched.setattr("expectations.validation.validate_here", Mock(side_effect=AssertionError))
            apart = [seen(validate_frame(suite, frame)) for suite, frame in zip(suites, frames, strict=True)]
        assert apart == alone
        judge = find_judge()
        assert judge is not None
        judge.stop()
        assert seen(validate_frame(readings.SUITE, frames[1])) == alone[1]
    assert find_judge() is None


def seen(results: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return of each result what a verdict is made of; Great Expectations gives each expectation an id."""
    return [(rule_id(each), each["success"], each["result"], each["exception_info"]) for each in results]


def test_an_error_of_the_process_beside_is_raised() -> None:
    with judging_apart():
        judge = find_judge()
        assert judge is not None
        with pytest.raises(AttributeError, match="gate"):
            judge.ask(None, (), readings_profile(), "BASIC")


def test_an_expectation_that_cannot_be_evaluated_has_failed() -> None:
    verdict = run_gate(readings.SUITE, readings_profile().drop(columns="future_rows"), **DAY)
    assert broken(verdict) == {"A-READINGS-006"}
    assert "could not be evaluated" in verdict.failed[0]["observed"]


def test_the_message_names_the_remedy() -> None:
    verdict = run_gate(readings.SUITE, readings_profile(negative_rows=3), **DAY)
    message = verdict.message
    for part in ("Gate A", "meter_readings", "2026-01-05", "A-READINGS-004", "m2", "next: ", "FAILED"):
        assert part in message


def test_samples_have_only_the_columns_of_the_rule() -> None:
    frame = readings_profile(negative_rows=3).assign(name="a person", serial_number="S-1")
    (failed,) = run_gate(readings.SUITE, frame, **DAY).failed
    assert set(failed["sample"][0]) == {*readings.SUITE.id_columns, "negative_rows"}


def test_an_unknown_suite_is_named_in_the_error() -> None:
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
    assert canonical_text(value) == text


def test_rule_ids_are_unique() -> None:
    suites = [readings.SUITE, *warehouse_suites()]
    suites += [load_suite(gate, table) for gate in "BC" for table in ENTITIES]
    ids = [rule.id for suite in suites for rule in suite.rules]
    assert [name for name, count in Counter(ids).items() if count > 1] == [], "give the rule another number"
    warehouse_rules = sum(len(suite.rules) for suite in warehouse_suites())
    copy_rules = sum(3 + len(entity.measures) for entity in ENTITIES.values())
    assert len(ids) == 13 + warehouse_rules + 2 * copy_rules
    assert (len(FACT.rules), len(SOLAR.rules)) == (7, 9)


def test_each_rule_of_a_suite_becomes_one_expectation() -> None:
    for suite in (readings.SUITE, load_suite("B", "meters"), *warehouse_suites()):
        expectations = build_gx_suite(suite).expectations
        assert [(each.meta or {}).get("rule") for each in expectations] == [rule.id for rule in suite.rules]


def test_each_suite_of_gate_d_is_named_like_its_file_and_says_whether_it_has_dates() -> None:
    for suite in warehouse_suites():
        assert load_suite("D", suite.table) is suite
        for statement in filter(None, (suite.sql, suite.source_sql)):
            assert ("$start" in statement and "$end" in statement) == suite.is_dated, suite.table
            assert f"{{prefix}}{suite.schema}.{suite.table}" in suite.sql
        assert suite.is_step_partitioned or not suite.is_dated, suite.table


def test_the_dataset_prefix_cannot_carry_sql() -> None:
    dates = Window(DAY["date_from"], DAY["date_to"])
    with pytest.raises(ValueError, match="letters, digits"):
        read_warehouse_frame(SOLAR, Mock(), dates, prefix="x; drop")


def test_a_suite_with_dates_is_not_read_without_them() -> None:
    with pytest.raises(ValueError, match="candidate_solar_performance by reading date"):
        read_warehouse_frame(SOLAR, Mock())
