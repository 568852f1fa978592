"""Gates as asset checks: each checks what a step has just written, and blocks the steps after it on failure.

Rules and frames are in `expectations`. `dagster_project.defs.<stage>.checks` says which table has which gate.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import dagster as dg
import pandas as pd
import psycopg

from dagster_project.failures import RETRY, permanent_unless_retryable
from dagster_project.markdown import link_history, write_verdict
from dagster_project.partitions import left_out_of_tags, window
from dagster_project.resources.platform import Platform, Sources
from expectations.frames import compare_frames
from expectations.rules import GateSuite
from expectations.suites.copies import copy_suite
from expectations.verdicts import Verdict, save_verdicts
from myproperty.database.roles import GATES
from myproperty.dates import Window
from myproperty.settings import Settings

FrameReader = Callable[[Sources, Window | None], pd.DataFrame]
# The fingerprints of the source and of the copy of a table.
Sides = tuple[pd.DataFrame, pd.DataFrame]
SidesReader = Callable[[Sources, str, Window | None], Sides]


def to_check_result(
    verdict: Verdict,
    asset: dg.AssetKey | None = None,
    check_name: str | None = None,
    *,
    settings: Settings | None = None,
) -> dg.AssetCheckResult:
    """Convert a verdict to Dagster's check result: rules that only warn, and tenants left out, are a warning.

    `asset` and `check_name` name the check in a step that has many. Links lead to addresses of `settings`.
    """
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=check_name,
        passed=not verdict.failed and not verdict.left_out,
        severity=dg.AssetCheckSeverity.WARN if verdict.passed else dg.AssetCheckSeverity.ERROR,
        # Dagster shows a description as Markdown, and metadata of Markdown only after a click.
        description=_describe_verdict(verdict, settings),
        metadata={
            "expectations": verdict.expectations,
            "rows": verdict.rows,
        },
    )


def gate_check(
    asset: dg.AssetKey, suite: GateSuite, read_frame: FrameReader, *, partitioned: bool
) -> dg.AssetChecksDefinition:
    """Define the blocking check `gate_<gate>` of one asset.

    `partitioned` says that the step of the asset runs by reading date. The check itself has no partitions:
    one verdict holds for the range of a run, and Dagster would show all its dates as skipped.
    """

    @dg.asset_check(
        asset=asset,
        name=_check_name(suite.gate),
        description=_description(suite),
        blocking=True,
        retry_policy=RETRY,
        op_tags={"gate": suite.gate},
    )
    def check(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.AssetCheckResult:
        dates = window(context) if partitioned else None
        left_out = left_out_of_tags(context.run.tags) if partitioned else frozenset()
        with permanent_unless_retryable():
            verdict = run_gate_check(
                platform, suite, read_frame, dates=dates, run_id=context.run.run_id, left_out=left_out
            )
        platform.progress(verdict.message)
        return to_check_result(verdict, settings=platform.settings)

    return check


def copies_check(
    name: str, gate: str, tables: Mapping[dg.AssetKey, str], read_sides: SidesReader
) -> dg.AssetChecksDefinition:
    """Define the blocking checks `gate_<gate>` of many copied tables without dates, in one step `name`."""
    check_name = _check_name(gate)
    suites = {asset: copy_suite(gate, table) for asset, table in tables.items()}

    @dg.multi_asset_check(
        name=name,
        specs=[
            dg.AssetCheckSpec(check_name, asset=asset, blocking=True, description=_description(suite))
            for asset, suite in suites.items()
        ],
        can_subset=True,
        retry_policy=RETRY,
        op_tags={"gate": gate},
    )
    def check(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> Iterator[dg.AssetCheckResult]:
        from expectations.gate import run_gate_of_copies

        selected = {check_key.asset_key for check_key in context.selected_asset_check_keys}
        judged = {asset: suite for asset, suite in suites.items() if asset in selected}
        with permanent_unless_retryable(), platform.open_sources() as sources, keeping(platform) as keep:
            started = time.perf_counter()
            sides = [read_sides(sources, suite.table, None) for suite in judged.values()]
            verdicts = run_gate_of_copies([*judged.values()], sides, run_id=context.run.run_id)
            seconds = (time.perf_counter() - started) / max(1, len(verdicts))
            keep([replace(verdict, seconds=seconds) for verdict in verdicts])
            for asset, verdict in zip(judged, verdicts, strict=True):
                if verdict.failed:
                    platform.progress(verdict.message)
                yield to_check_result(verdict, asset, check_name, settings=platform.settings)
        passed = sum(verdict.passed for verdict in verdicts)
        platform.progress(f"Gate {gate} passed on {passed} of {len(verdicts)} tables without dates.")

    return check


def frame_of_copy(gate: str, table: str, read_sides: SidesReader) -> FrameReader:
    """Return a reader of the frame of one copied table: its two sides, compared."""
    suite = copy_suite(gate, table)

    def read_frame(sources: Sources, dates: Window | None) -> pd.DataFrame:
        return compare_frames(*read_sides(sources, table, dates), suite.id_columns, suite.measures)

    return read_frame


def run_gate_check(
    platform: Platform,
    suite: GateSuite,
    read_frame: FrameReader,
    *,
    dates: Window | None,
    run_id: str,
    left_out: frozenset[str] = frozenset(),
) -> Verdict:
    """Run one gate, without the rows of tenants left out, and store its verdict in the OLTP database."""
    with platform.open_sources() as sources, keeping(platform) as keep:
        verdict = _judge(sources, suite, read_frame, dates=dates, run_id=run_id, left_out=left_out)
        keep([verdict])
    return verdict


@contextmanager
def keeping(platform: Platform) -> Iterator[Callable[[Sequence[Verdict]], None]]:
    """Open a connection that stores verdicts as they come: a process that is killed later loses none."""
    with psycopg.connect(platform.dsn_of(GATES)) as connection:

        def keep(verdicts: Sequence[Verdict]) -> None:
            save_verdicts(connection, verdicts)
            connection.commit()
            platform.verdicts.extend(verdicts)

        yield keep


def _judge(
    sources: Sources,
    suite: GateSuite,
    read_frame: FrameReader,
    *,
    dates: Window | None,
    run_id: str,
    left_out: frozenset[str] = frozenset(),
) -> Verdict:
    from expectations.gate import run_gate

    started = time.perf_counter()
    verdict = run_gate(
        suite,
        read_frame(sources, dates),
        date_from=dates.start if dates else None,
        date_to=dates.end if dates else None,
        run_id=run_id,
        left_out=left_out,
    )
    return replace(verdict, seconds=time.perf_counter() - started)


def _describe_verdict(verdict: Verdict, settings: Settings | None) -> str:
    docs_url, quality_url = (settings.docs_url, settings.quality_url) if settings else (None, None)
    parts = [
        verdict.headline,
        "" if verdict.passed else verdict.held_back,
        write_verdict(verdict, docs_url),
        link_history(verdict, quality_url),
    ]
    return "\n\n".join(part for part in parts if part)


def _check_name(gate: str) -> str:
    return f"gate_{gate.lower()}"


def _description(suite: GateSuite) -> str:
    return f"Gate {suite.gate} on {suite.table}: every rule of its suite, before anything is built on it."
