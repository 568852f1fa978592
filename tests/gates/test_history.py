"""Keep verdicts in a real database: what is stored comes back, and old details make room."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from expectations import verdicts
from expectations.verdicts import (
    Verdict,
    failing_verdicts,
    last_verdicts,
    read_names,
    recent_verdicts,
)
from tests.planted import keep_verdicts

pytestmark = pytest.mark.engine
SEEN = {"rule": "A-X-001", "passed": True, "observed": "0 of 2 groups break it", "element_count": 2}
VERDICT = Verdict(
    "A",
    "x",
    True,
    [],
    1,
    576,
    run_id="r",
    results=[SEEN],
    seconds=0.25,
    checked_at=datetime(2026, 1, 5, tzinfo=UTC),
)


def test_old_verdicts_stay_without_their_details(oltp_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "DETAILED_VERDICTS", 2)
    stored = [
        replace(VERDICT, run_id=f"r{n}", passed=n != 1, checked_at=VERDICT.checked_at + timedelta(days=n))
        for n in range(4)
    ]
    for verdict in stored:
        keep_verdicts(oltp_dsn, [verdict, replace(verdict, table="y")])
    newest = recent_verdicts(oltp_dsn, 10)
    assert [(each.table, each.run_id, bool(each.results)) for each in newest if each.table == "x"] == [
        ("x", "r3", True), ("x", "r2", True), ("x", "r1", False), ("x", "r0", False),
    ]  # fmt: skip
    assert last_verdicts(oltp_dsn) == [stored[3], replace(stored[3], table="y")]
    assert failing_verdicts(oltp_dsn) == []
    with psycopg.connect(oltp_dsn) as connection:
        found = connection.execute(
            "select count(*), count(*) filter (where not passed) from warehouse_staging.gate_results"
        )
        assert found.fetchone() == (8, 2)


def test_a_later_range_that_passes_does_not_hide_a_failed_date(oltp_dsn: str) -> None:
    """January fails, then all its dates but the 7th pass, and February; then the seeds fail twice."""

    def judged(at: int, passed: bool, first: date | None, end: date | None, table: str = "x") -> Verdict:
        checked_at = VERDICT.checked_at + timedelta(hours=at)
        return replace(
            VERDICT,
            table=table,
            passed=passed,
            date_from=first,
            date_to=end,
            run_id=f"r{at}",
            checked_at=checked_at,
        )

    january, seventh, february = date(2026, 1, 1), date(2026, 1, 7), date(2026, 2, 1)
    stored = [
        judged(0, False, january, february),
        judged(1, True, january, seventh),
        judged(2, True, date(2026, 1, 8), february),
        judged(3, True, february, date(2026, 3, 1)),
        judged(4, False, None, None, "seed"),
        judged(5, False, None, None, "seed"),
    ]
    keep_verdicts(oltp_dsn, stored)
    assert [verdict.run_id for verdict in failing_verdicts(oltp_dsn)] == ["r5", "r0"]
    keep_verdicts(oltp_dsn, [judged(6, True, seventh, date(2026, 1, 8)), judged(7, True, None, None, "seed")])
    assert failing_verdicts(oltp_dsn) == []


def test_an_example_has_the_names_that_a_person_knows(oltp_dsn: str) -> None:
    """Names are read when they are shown; the stored verdict has ids alone."""
    with psycopg.connect(oltp_dsn) as connection:
        row = connection.execute(
            "insert into myproperty.tenants (name, region) values ('acacia', 'AU') returning id::text"
        ).fetchone()
    assert row is not None
    (tenant,) = row
    broken = {
        "rule": "A-X-001", "severity": "block", "what": "x", "remedy": "y", "observed": "z",
        "sample": [{"tenant_id": tenant, "meter_id": "unknown", "rows": 2}],
    }  # fmt: skip
    verdict = replace(VERDICT, passed=False, failed=[broken])
    shown = verdict.describe(read_names(oltp_dsn, [verdict]))
    assert f"e.g. tenant acacia ({tenant}), meter_id unknown, rows 2" in shown
    assert "acacia" not in verdict.message
