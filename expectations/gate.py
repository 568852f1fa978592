"""Run a gate: a suite over a frame becomes a verdict that blocks or lets pass.

Suites are in `expectations.suites`, frames in `expectations.frames`, the calls of Great Expectations in
`expectations.validation`, verdicts in `expectations.verdicts`.
"""

import math
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pandas as pd

from expectations.frames import compare_frames
from expectations.rules import NO_ROWS_REMEDY, GateRule, GateSuite
from expectations.suites.copies import TABLE, all_copies_suite
from expectations.validation import SAMPLE_SIZE, holds, rule_id, validate_frame
from expectations.verdicts import Verdict

# So many tenants and dates are kept of a broken rule: more have a cause in common.
MOST_TENANT_DATES = 1000
# Samples are stored and shown to people: they hold ids and dates, never a name, address or serial number.
_SAMPLE_TYPES = (bool, int, float, str)
TENANT_ID, READING_DATE = "tenant_id", "reading_date"


def run_gate(
    suite: GateSuite,
    frame: pd.DataFrame,
    *,
    date_from: date | None = None,
    date_to: date | None = None,
    rows_expected: bool | None = None,
    run_id: str | None = None,
    left_out: Collection[str] = (),
    results: Sequence[dict[str, Any]] | None = None,
) -> Verdict:
    """Check `frame` by the rules of `suite`, without the rows of the tenants `left_out`.

    `results` are those of Great Expectations, if the rules are checked already.

    `rows_expected` says that the frame must stand for at least one row (default: `suite.rows_required`). An
    empty frame then fails by the rule `<gate>-ROWS-000`, since Great Expectations calls an empty frame a
    success. An expectation that cannot be evaluated has failed.
    """
    started = time.perf_counter()
    if left_out and TENANT_ID in frame:
        frame = frame[~frame[TENANT_ID].astype(str).isin(left_out)].reset_index(drop=True)
    rows = int(frame["rows"].sum()) if _has_row_counts(frame) else len(frame)
    must = suite.rows_required if rows_expected is None else rows_expected
    failed = [_describe_missing_rows(suite)] if must and rows == 0 else []
    results = validate_frame(suite, frame) if results is None else results
    failed += [_describe_failure(result, suite.id_columns) for result in results if not result["success"]]
    if date_from is not None and date_to is not None:
        for broken in failed:
            broken["remedy"] = _fill_dates(broken["remedy"], date_from, date_to)
    return Verdict(
        gate=suite.gate,
        table=suite.table,
        passed=not any(broken["severity"] == "block" for broken in failed),
        failed=failed,
        expectations=len(results) + (1 if must else 0),
        rows=rows,
        date_from=date_from,
        date_to=date_to,
        run_id=run_id,
        results=[_summarise(result) for result in results],
        seconds=time.perf_counter() - started,
        left_out=tuple(sorted(left_out)),
    )


def run_gate_of_copies(
    suites: Sequence[GateSuite], sides: Sequence[tuple[pd.DataFrame, pd.DataFrame]], *, run_id: str
) -> list[Verdict]:
    """Check many copied tables of a gate without dates by one suite; `sides` are source and copy of each.

    A checkpoint costs more than its rows. Only if a rule is broken is each table checked by its own suite,
    which names the rule and takes samples.
    """
    names = [suite.table for suite in suites]
    measures = [*dict.fromkeys(measure for suite in suites for measure in suite.measures)]
    source, target = (
        pd.concat(dict(zip(names, side, strict=True)), names=[TABLE])
        .reset_index(TABLE)
        .reindex(columns=[TABLE, TENANT_ID, *measures])
        for side in zip(*sides, strict=True)
    )
    # A measure that a table lacks is missing on both sides, and so equal.
    frame = compare_frames(source, target, (TABLE, TENANT_ID), measures)
    all_hold = holds(all_copies_suite(suites[0].gate, measures), frame)
    verdicts = []
    for suite in suites:
        own = _select_table(frame, suite)
        passed = [_pass(rule, own) for rule in suite.rules] if all_hold else None
        verdicts.append(run_gate(suite, own, run_id=run_id, results=passed))
    return verdicts


def _select_table(frame: pd.DataFrame, suite: GateSuite) -> pd.DataFrame:
    compared = [f"{side}_{measure}" for side in ("source", "target") for measure in suite.measures]
    columns = [*suite.id_columns, *compared, "on_both_sides", "rows"]
    return frame.loc[frame[TABLE] == suite.table, columns].reset_index(drop=True)


def _pass(rule: GateRule, frame: pd.DataFrame) -> dict[str, Any]:
    """Return the result of a rule that no row of the frame breaks, as Great Expectations gives it."""
    return {
        "success": True,
        "expectation_config": {"meta": {"rule": rule.id}},
        "result": {"element_count": len(frame), "unexpected_count": 0},
    }


def _fill_dates(remedy: str, date_from: date, date_to: date) -> str:
    last = date_to - timedelta(days=1)
    return remedy.replace("{first}", date_from.isoformat()).replace("{last}", last.isoformat())


def _has_row_counts(frame: pd.DataFrame) -> bool:
    return "rows" in frame and pd.api.types.is_numeric_dtype(frame["rows"])


def _describe_missing_rows(suite: GateSuite) -> dict[str, Any]:
    return {
        "rule": f"{suite.gate}-ROWS-000",
        "severity": "block",
        "expectation": "rows_expected",
        "column": None,
        "what": f"{suite.table} has rows",
        "remedy": NO_ROWS_REMEDY,
        "observed": "0 rows",
        "unexpected_count": 0,
        "sample": [],
        "tenant_dates": [],
    }


def _summarise(result: dict[str, Any]) -> dict[str, Any]:
    """Return what the history keeps of each rule, passed or broken: counts and no value of a row."""
    details = result["result"]
    return {
        "rule": rule_id(result),
        "passed": bool(result["success"]),
        "observed": _describe_observation(result, details),
        "element_count": int(details.get("element_count") or 0),
        "unexpected_count": int(details.get("unexpected_count") or 0),
    }


def _describe_failure(result: Mapping[str, Any], ids: Sequence[str]) -> dict[str, Any]:
    """Describe one failed expectation, without personal data."""
    config, details = result["expectation_config"], result["result"]
    kwargs, meta = config["kwargs"], config["meta"]
    column = kwargs.get("column") or " / ".join(
        kwargs[name] for name in ("column_A", "column_B") if kwargs.get(name)
    )
    columns = column.split(" / ") if column else list(kwargs.get("column_list", ()))
    return {
        "rule": meta["rule"],
        "severity": meta["severity"],
        "expectation": config["type"],
        "column": column or ", ".join(columns),
        "what": meta["what"],
        "remedy": meta["remedy"],
        "observed": _describe_observation(result, details),
        "unexpected_count": int(details.get("unexpected_count") or 0),
        "sample": _take_sample(details, [*ids, *(name for name in columns if name not in ids)]),
        "tenant_dates": _find_tenant_dates(details),
    }


def _describe_observation(result: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    if not details:
        raised = result.get("exception_info", {})
        reason = raised.get("exception_message") or next(
            (error["exception_message"] for error in raised.values() if isinstance(error, dict)), "no result"
        )
        return f"could not be evaluated: {reason}"
    if "unexpected_count" in details:
        return f"{details['unexpected_count']} of {details['element_count']} groups break it"
    return f"{details.get('observed_value')}"


def _take_sample(details: Mapping[str, Any], allowed: Sequence[str]) -> list[dict[str, Any]]:
    found = details.get("partial_unexpected_index_list") or []
    return [
        {name: _to_json_value(example[name]) for name in allowed if name in example}
        for example in found[:SAMPLE_SIZE]
    ]


def _find_tenant_dates(details: Mapping[str, Any]) -> list[list[str | None]]:
    """Return all tenants and dates that break a rule; none if it does not name tenants, or names too many.

    The date is None where rows have no reading date.
    """
    broken = details.get("unexpected_index_list") or []
    found = {
        (str(row[TENANT_ID]), str(row[READING_DATE]) if READING_DATE in row else None)
        for row in broken
        if TENANT_ID in row
    }
    return sorted(map(list, found), key=str) if len(found) <= MOST_TENANT_DATES else []


def _to_json_value(value: Any) -> Any:
    """Return a value that JSON can hold; NaN and infinity become None."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, _SAMPLE_TYPES) else str(value)
