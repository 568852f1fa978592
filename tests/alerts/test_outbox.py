"""Messages are kept until they are sent; a cause has a quiet period, and its end is said once."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from dagster_project.alerts.messages import compose_failure
from dagster_project.alerts.outbox import Outbox
from dagster_project.broken_rules import RuleReport

NOW = datetime(2026, 10, 3, 12, tzinfo=UTC)
FIRST, SECOND = date(2026, 10, 1), date(2026, 10, 2)
BOTH = ["slack", "webhook"]


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "alerts.sqlite", quiet_minutes=60)


def fail(outbox: Outbox, run: str, day: date, minutes: int = 0) -> bool:
    report = RuleReport("A-READINGS-004", "meter_readings", "none", "2", "mend")
    alert = compose_failure("pipeline", run, [day], [report])
    return outbox.add(alert, BOTH, NOW + timedelta(minutes=minutes))


def titles(outbox: Outbox, minutes: int = 0) -> list[str]:
    return [message.title for message in outbox.waiting(NOW + timedelta(minutes=minutes), ["slack"], 100)]


def test_a_cause_is_repeated_only_after_its_quiet_period(outbox: Outbox) -> None:
    assert fail(outbox, "1", FIRST)
    assert not fail(outbox, "1", FIRST), "the same event, evaluated again"
    assert not fail(outbox, "2", SECOND, minutes=59)
    assert fail(outbox, "3", FIRST, minutes=61)
    assert len(titles(outbox, 61)) == 2


def test_a_recovery_is_said_once_and_after_every_date(outbox: Outbox) -> None:
    fail(outbox, "1", FIRST)
    fail(outbox, "2", SECOND, minutes=1)
    assert outbox.recover_dates("ingest", [FIRST, SECOND], "recovery/0", BOTH, NOW) == 0, "another job"
    assert outbox.recover_dates("pipeline", [FIRST], "recovery/1", BOTH, NOW) == 0
    assert outbox.recover_dates("pipeline", [SECOND], "recovery/2", BOTH, NOW) == 1
    assert outbox.recover_dates("pipeline", [SECOND], "recovery/3", BOTH, NOW) == 0
    assert titles(outbox)[1].startswith("Recovered: pipeline failed")
    assert outbox.open_causes() == []
    assert fail(outbox, "4", FIRST, minutes=2), "a new failure after a recovery is said at once"


def test_an_unsent_message_waits_longer_each_time_and_is_never_dropped(outbox: Outbox) -> None:
    fail(outbox, "1", FIRST)
    at = NOW
    for attempt in range(20):
        (message,) = outbox.waiting(at, ["slack"], 10)
        assert message.attempts == attempt
        outbox.record_failure(message, "error=500", at)
        assert outbox.waiting(at, ["slack"], 10) == []
        at += timedelta(minutes=60)
    kept = outbox.status()["slack"]
    assert (kept["unsent"], kept["attempts"], kept["last_error"]) == (1, 20, "error=500")
    outbox.record_sent(message.id, at)
    assert outbox.status()["slack"]["unsent"] == 0
    assert outbox.status()["webhook"]["unsent"] == 1, "each channel has its own message"
