"""Copy one table again, from its source to landing and from landing to raw, and check both copies.

A run copies only the changes of a growing table, so it keeps a landed row that something else altered.
"""

from collections.abc import Callable

from dagster_project.defs.landing.checks import compare_landing_with_source
from dagster_project.defs.raw.checks import compare_raw_with_landing
from dagster_project.gates import FrameReader, run_gate_check
from dagster_project.resources.platform import Platform
from data.landing.entities import ENTITIES
from expectations.suites import load_suite
from expectations.verdicts import BY_HAND, Verdict
from myproperty.database.ids import uuid7
from myproperty.dates import Window
from myproperty.errors import PlatformError
from myproperty.settings import Settings


class NotCopied(PlatformError):
    """A table cannot be copied as it was asked for; the message names what to give."""


def reload_table(
    settings: Settings, entity: str, dates: Window | None, progress: Callable[[str], None]
) -> list[Verdict]:
    """Replace landing and raw of a table, whole or for `dates`, and return the verdicts of gates B and C.

    Raw is not replaced if gate B fails. The verdicts are stored. Raises NotCopied for an unknown table, or
    for dates that are missing or not allowed.
    """
    from data.landing.land import land
    from data.raw.transfer import transfer

    _check_table(entity, dates)
    platform = Platform(settings, progress)
    bounds = dates.bounds if dates else ()
    rows = land(entity, platform.oltp_dsn, *bounds, is_whole=True)
    progress(f"landed {entity}: {rows} rows")
    verdicts = [_check(platform, "B", entity, compare_landing_with_source(entity), dates)]
    if not verdicts[0].passed:
        return verdicts
    with platform.warehouse() as warehouse:
        days = dates.dates if dates else None
        rows = transfer(
            warehouse, entity, platform.oltp_dsn, f"reload-{uuid7()}", days, is_whole=True, progress=progress
        )
    progress(f"loaded raw.{entity}: {rows} rows")
    return [*verdicts, _check(platform, "C", entity, compare_raw_with_landing(entity), dates)]


def _check_table(entity: str, dates: Window | None) -> None:
    if entity not in ENTITIES:
        raise NotCopied(f"no table {entity!r} is copied to the warehouse: one of {', '.join(ENTITIES)}")
    if ENTITIES[entity].is_dated and dates is None:
        raise NotCopied(f"{entity} is copied by reading date: give --from and --to")
    if not ENTITIES[entity].is_dated and dates is not None:
        raise NotCopied(f"{entity} is copied whole: leave out --from and --to")


def _check(
    platform: Platform, gate: str, entity: str, read_frame: FrameReader, dates: Window | None
) -> Verdict:
    return run_gate_check(platform, load_suite(gate, entity), read_frame, dates=dates, run_id=BY_HAND)
