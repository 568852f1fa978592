"""A message is grouped, bounded, and has neither personal data nor markup of others."""

from datetime import UTC, date, datetime

import pytest

from dagster_project.alerts.messages import (
    LONGEST_BODY,
    DigestFacts,
    SilentSender,
    compose_digest,
    compose_failure,
    compose_silence,
)
from dagster_project.alerts.text import LONGEST_FIELD, clean
from dagster_project.broken_rules import RuleReport

TENANT = "0198c0de-0000-7000-8000-000000000001"
DATES = [date(2026, 10, 1), date(2026, 10, 2)]


def rule(number: int, observed: str = "2 rows") -> RuleReport:
    return RuleReport(f"A-READINGS-{number:03}", "meter_readings", "no row is negative", observed,
                      "ingest the corrected file", (TENANT,))  # fmt: skip


def test_a_run_with_twenty_failed_checks_is_one_message_that_says_what_to_do() -> None:
    alert = compose_failure("pipeline", "run-1", DATES, [rule(number) for number in range(20)])
    assert alert.title.endswith("A-READINGS-000, A-READINGS-001 and 18 more")
    for text in (
        "partition: 2026-10-01 to 2026-10-02",
        f"tenant: {TENANT}",
        "expected: no row is negative",
        "observed: 2 rows",
        "mend: ingest the corrected file",
        "show more: myproperty pending",
        "run again: myproperty run --from 2026-10-01 --to 2026-10-02",
        "and 12 more",
    ):
        assert text in alert.body
    assert len(alert.body) <= LONGEST_BODY


def test_a_message_is_bounded_whatever_the_rules_say() -> None:
    reports = [rule(number, "x " * 1_000_000) for number in range(100)]
    alert = compose_failure("pipeline", "run-1", DATES, reports)
    assert len(alert.body) <= LONGEST_BODY
    assert alert.body.endswith("--to 2026-10-02"), "the commands are never cut"


def test_the_same_rules_on_other_dates_are_the_same_cause() -> None:
    first = compose_failure("pipeline", "run-1", DATES[:1], [rule(1), rule(2)])
    second = compose_failure("pipeline", "run-2", DATES[1:], [rule(2), rule(1)])
    assert first.cause == second.cause and first.event != second.event


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("from anna.meier@example.org", "anna.meier@example.org"),
        ("NMI 6102000001 is unknown", "6102000001"),
        ("DE0001234567890000000000000012345", "0000000012345"),
        ("postgresql://etl:s3cret@db/oltp", "s3cret"),
        ("see https://evil.example/x", "https://"),
        ("a\nX-Header: b\r\nc", "\n"),
        ("abc\u202egnp.exe\u0000\x1b[31m", "\u202e"),
    ],
)
def test_text_from_outside_is_made_safe(text: str, hidden: str) -> None:
    assert hidden in text and hidden not in clean(text)


def test_text_keeps_figures_and_keys_of_the_platform() -> None:
    text = f"tenant {TENANT}: 7469.120 kWh on 2026-10-01, 37814 rows"
    assert clean(text) == text
    assert len(clean("y" * 10_000)) == LONGEST_FIELD


def test_silence_names_tenant_limit_and_commands() -> None:
    sender = SilentSender(TENANT, "nem12", datetime(2026, 10, 1, tzinfo=UTC))
    body = compose_silence(sender, 36, datetime(2026, 10, 3, tzinfo=UTC)).body
    for text in (TENANT, "SENDER-SILENT", "no nem12 file for 48 hours", "at least every 36 hours"):
        assert text in body
    assert f"myproperty ingest FILE --tenant {TENANT}" in body


def test_the_digest_counts_what_is_open() -> None:
    facts = DigestFacts({"pipeline failure": 2}, {"A-READINGS-004": 3}, {"NMI-UNKNOWN": 7}, DATES, [], ["x"])
    alert = compose_digest(date(2026, 10, 3), facts)
    for text in ("pipeline failure 2", "A-READINGS-004 3", "NMI-UNKNOWN 7", "dates not published: 2"):
        assert text in alert.body
