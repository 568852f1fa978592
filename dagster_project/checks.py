"""The gates as asset checks: each judges what was just written, and its no stops what is downstream.

Rules and frames are in `expectations`; which gate stands where, in `dagster_project.defs.<stage>.checks`.
"""

from collections.abc import Callable, Iterator, Mapping

import dagster as dg
import pandas as pd

from dagster_project.failures import RETRY, permanent_unless_retryable
from dagster_project.partitions import READING_DATES, Window, window
from dagster_project.resources.platform import Platform
from expectations.verdicts import Verdict

Frame = Callable[[Platform, Window | None], pd.DataFrame]


def result(
    verdict: Verdict, asset: dg.AssetKey | None = None, check_name: str | None = None
) -> dg.AssetCheckResult:
    """A verdict as Dagster's check result: broken warnings show as warnings and stop nothing.

    A step of many checks names which one it is of.
    """
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=check_name,
        passed=not verdict.failed,
        severity=dg.AssetCheckSeverity.WARN if verdict.passed else dg.AssetCheckSeverity.ERROR,
        description=verdict.message,
        metadata={
            "expectations": verdict.expectations,
            "rows": verdict.rows,
            "rules_broken": [broken["rule"] for broken in verdict.failed],
            "failed": dg.MetadataValue.json(verdict.failed),
        },
    )


def gate_check(
    asset: dg.AssetKey, gate: str, table: str, frame: Frame, *, partitioned: bool
) -> dg.AssetChecksDefinition:
    """The blocking check `gate_<gate>` of one asset; its verdict is kept in the operational database."""

    @dg.asset_check(
        asset=asset,
        name=f"gate_{gate.lower()}",
        description=f"Gate {gate} on {table}: every rule of its suite, before anything is built on it.",
        blocking=True,
        partitions_def=READING_DATES if partitioned else None,
        retry_policy=RETRY,
        op_tags={"gate": gate},
    )
    def check(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.AssetCheckResult:
        dates = window(context) if partitioned else None
        with permanent_unless_retryable():
            verdict = judge(platform, gate, table, frame, dates=dates, run_id=context.run.run_id)
        platform.progress(verdict.message)
        return result(verdict)

    return check


def gate_checks(
    name: str, gate: str, assets: Mapping[str, dg.AssetKey], frame: Callable[[str], Frame]
) -> dg.AssetChecksDefinition:
    """The blocking checks `gate_<gate>` of many tables without dates, by name, in one step `name`."""
    check_name = f"gate_{gate.lower()}"
    before = "every rule of its suite, before anything is built on it"

    @dg.multi_asset_check(
        name=name,
        specs=[
            dg.AssetCheckSpec(
                check_name,
                asset=asset,
                blocking=True,
                description=f"Gate {gate} on {table}: {before}.",
            )
            for table, asset in assets.items()
        ],
        can_subset=True,
        retry_policy=RETRY,
        op_tags={"gate": gate},
    )
    def check(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> Iterator[dg.AssetCheckResult]:
        chosen = {check_key.asset_key for check_key in context.selected_asset_check_keys}
        verdicts: list[Verdict] = []
        for table, asset in assets.items():
            if asset not in chosen:
                continue
            with permanent_unless_retryable():
                verdict = judge(platform, gate, table, frame(table), dates=None, run_id=context.run.run_id)
            verdicts.append(verdict)
            if verdict.failed:
                platform.progress(verdict.message)
            yield result(verdict, asset, check_name)
        passed = sum(verdict.passed for verdict in verdicts)
        platform.progress(f"Gate {gate} passed on {passed} of {len(verdicts)} tables without dates.")

    return check


def judge(
    platform: Platform, gate: str, table: str, frame: Frame, *, dates: Window | None, run_id: str
) -> Verdict:
    """Run one gate and keep its verdict."""
    from expectations.gate import run_gate, save

    verdict = run_gate(
        gate,
        table,
        frame(platform, dates),
        date_from=dates.start if dates else None,
        date_to=dates.end if dates else None,
        run_id=run_id,
    )
    save(platform.oltp_dsn, [verdict])
    platform.verdicts.append(verdict)
    return verdict
