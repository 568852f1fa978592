"""Compose messages. Pure: what a message says is read by `dagster_project.alerts.facts`.

A message has no names of people, no e-mail addresses, no identifiers of meters and no samples of rows: the
commands that it names show those to a person with access.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from dagster_project.alerts.text import clean
from dagster_project.broken_rules import RuleReport

Level = Literal["failure", "warning", "success", "info"]

# A message of Slack has at most 3,000 characters in a block.
LONGEST_BODY = 2900
MOST_RULES = 8
MOST_NAMES = 5
SHOW_PENDING = "myproperty pending"


@dataclass(frozen=True)
class Alert:
    """A message for every channel. `cause` is equal for equal causes, `event` for the same event.

    `fields` are the facts of the message as JSON, for the webhook. `dates` are the reading dates that are
    held back; `scope` is the job whose success on all of them ends the cause.
    """

    event: str
    cause: str
    level: Level
    title: str
    body: str
    scope: str = ""
    dates: tuple[date, ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)


def describe_partition(dates: Sequence[date]) -> str:
    """Return the reading dates of a run as text."""
    if not dates:
        return "none"
    first, last = min(dates), max(dates)
    return first.isoformat() if first == last else f"{first.isoformat()} to {last.isoformat()}"


def compose_failure(job: str, run_id: str, dates: Sequence[date], rules: Sequence[RuleReport]) -> Alert:
    """Compose one message for a failed run, however many of its rules are broken."""
    partition = describe_partition(dates)
    names = list(dict.fromkeys(clean(rule.rule, 80) for rule in rules))
    tenants = sorted({tenant for rule in rules for tenant in rule.tenants})
    mend = _repeat(job, dates)
    show = SHOW_PENDING
    head = [
        f"run: {clean(run_id)}",
        f"partition: {partition}",
        f"tenant: {_join(tenants) or 'not known'}",
        f"{len(rules)} broken:",
    ]
    items = [_describe_rule(rule) for rule in rules]
    tail = [f"show more: {show}", f"then run again: {mend}"]
    return Alert(
        event=f"run/{run_id}",
        # Without the dates: a run that is split by date fails many times for one cause.
        cause=f"run/{job}/{','.join(sorted(names))}",
        level="failure",
        title=f"{job} failed, reading dates {partition}: {_join(names, 2)}",
        body=_fit(head, items, tail),
        scope=job,
        dates=tuple(dates),
        fields={
            "kind": "run_failure",
            "job": job,
            "run_id": run_id,
            "partition": partition,
            "tenants": tenants,
            "rules": [_as_fields(rule) for rule in rules[:MOST_RULES]],
            "rules_broken": len(rules),
            "show": show,
            "mend": mend,
        },
    )


def compose_recovery(event: str, cause: str, title: str) -> Alert:
    """Compose the message that a cause has ended; `title` is the title of its failure."""
    return Alert(
        event=event,
        cause=cause,
        level="success",
        title=clean(f"Recovered: {title}"),
        body=f"Mended: {clean(title)}\nNothing is left to do.",
        fields={"kind": "recovery", "recovered": clean(title)},
    )


@dataclass(frozen=True)
class SilentSender:
    """A sender, which is a tenant and a format, whose last file is older than the limit."""

    tenant_id: str
    format: str
    last_at: datetime

    @property
    def cause(self) -> str:
        """Return the cause of its alert."""
        return f"silence/{self.tenant_id}/{self.format}"


def compose_silence(sender: SilentSender, hours: int, now: datetime) -> Alert:
    """Compose the message that a sender is silent."""
    silent = int((now - sender.last_at).total_seconds() // 3600)
    mend = f"myproperty ingest FILE --tenant {sender.tenant_id}"
    show = "myproperty run"
    body = "\n".join(
        (
            f"partition: since {sender.last_at.date().isoformat()}",
            f"tenant: {sender.tenant_id}",
            "rule: SENDER-SILENT",
            f"observed: no {clean(sender.format, 40)} file for {silent} hours, last at "
            f"{sender.last_at:%Y-%m-%d %H:%M} UTC",
            f"expected: a file at least every {hours} hours",
            f"show more: {show} (reads the inbox and names files that it cannot load)",
            f"mend: ask the sender for the files, then {mend}",
        )
    )
    return Alert(
        event=f"{sender.cause}/{sender.last_at.isoformat()}",
        cause=sender.cause,
        level="warning",
        title=f"Silent sender: tenant {sender.tenant_id}, {clean(sender.format, 40)}, {silent} hours",
        body=body,
        fields={
            "kind": "silent_sender",
            "partition": f"since {sender.last_at.date().isoformat()}",
            "tenants": [sender.tenant_id],
            "rules": [
                {
                    "rule": "SENDER-SILENT",
                    "place": clean(sender.format, 40),
                    "observed": f"{silent} hours",
                    "expected": f"at most {hours} hours",
                    "mend": mend,
                }
            ],
            "show": show,
            "mend": mend,
        },
    )


@dataclass(frozen=True)
class RefusedFiles:
    """Files of a tenant that were refused, by rule, and when the last one came."""

    tenant_id: str
    rules: dict[str, int]
    last_at: datetime


def compose_refusals(refused: RefusedFiles) -> Alert:
    """Compose the message that files were refused: news, which nothing later ends."""
    files = sum(refused.rules.values())
    show = "myproperty quality"
    mend = "myproperty inspect FILE"
    return Alert(
        event=f"refused/{refused.tenant_id}/{refused.last_at.isoformat()}",
        cause=f"refused/{refused.tenant_id}",
        level="info",
        title=f"Files refused: {files} of tenant {refused.tenant_id}",
        body="\n".join(
            (
                f"tenant: {refused.tenant_id}",
                f"rules: {_count(refused.rules)}",
                "Nothing of them was loaded. What came by the inbox is in `refused` of the tenant's archive.",
                f"show more: {show}",
                f"mend: {mend} tells line, rule and remedy of each",
            )
        ),
        fields={
            "kind": "refused_files",
            "tenants": [refused.tenant_id],
            "files": files,
            "rules": [
                {"rule": clean(rule, 80), "observed": f"{number} files", "mend": mend}
                for rule, number in refused.rules.items()
            ],
            "show": show,
            "mend": mend,
        },
    )


@dataclass(frozen=True)
class OldBackup:
    """A place, `folder` or `bucket`, whose newest base backup is too old; None: it has none."""

    place: str
    since: datetime
    newest_at: datetime | None

    @property
    def cause(self) -> str:
        """Return the cause of its alert."""
        return f"backup/{self.place}"


def compose_old_backup(old: OldBackup, hours: int, now: datetime) -> Alert:
    """Compose the message that backups are not made, or not copied."""
    age = int((now - old.since).total_seconds() // 3600)
    what = "base backup" if old.place == "folder" else "copy of a base backup in the bucket"
    observed = (
        f"the newest {what} ended {age} hours ago" if old.newest_at else f"no {what} in {age} hours of WAL"
    )
    mend = "myproperty backup"
    show = "myproperty backups"
    return Alert(
        event=f"{old.cause}/{old.since.isoformat()}",
        cause=old.cause,
        level="failure",
        title=f"Old backup: {observed}",
        body="\n".join(
            (
                "rule: BACKUP-OLD",
                f"observed: {observed}",
                f"expected: one at least every {hours} hours",
                f"show more: {show}",
                f"mend: {mend} says what stands in the way; is the schedule base_backup_nightly on?",
            )
        ),
        fields={
            "kind": "old_backup",
            "place": old.place,
            "rules": [
                {
                    "rule": "BACKUP-OLD",
                    "place": old.place,
                    "observed": observed,
                    "expected": f"at most {hours} hours",
                    "mend": mend,
                }
            ],
            "show": show,
            "mend": mend,
        },
    )


@dataclass(frozen=True)
class DigestFacts:
    """What a day was like: counts of the last 24 hours, and what is open now."""

    runs: dict[str, int]
    rules: dict[str, int]
    quarantined: dict[str, int]
    pending: list[date]
    silent: list[SilentSender]
    open_causes: list[str]


def compose_digest(day: date, facts: DigestFacts) -> Alert:
    """Compose the daily digest, sent also when all is well: its absence says that alerts are broken."""
    lines = [
        f"runs of the last 24 hours: {_count(facts.runs)}",
        f"rules broken in the last 24 hours: {_count(facts.rules)}",
        f"rows quarantined and open: {_count(facts.quarantined)}",
        f"dates not published: {len(facts.pending)}"
        + (f" ({describe_partition(facts.pending)})" if facts.pending else ""),
        f"silent senders: {len(facts.silent)}",
        *(
            f"  tenant {sender.tenant_id}, {clean(sender.format, 40)}, since {sender.last_at:%Y-%m-%d}"
            for sender in facts.silent[:MOST_RULES]
        ),
        f"not mended: {len(facts.open_causes)}",
        *(f"  {clean(title)}" for title in facts.open_causes[:MOST_RULES]),
    ]
    tail = [f"show more: {SHOW_PENDING}", "publish what is pending: myproperty run"]
    return Alert(
        event=f"digest/{day.isoformat()}",
        cause=f"digest/{day.isoformat()}",
        level="info",
        title=f"Daily digest, {day.isoformat()}: {len(facts.open_causes)} not mended, "
        f"{len(facts.pending)} dates not published",
        body=_fit(lines, [], tail),
        fields={
            "kind": "digest",
            "runs": facts.runs,
            "rules": facts.rules,
            "quarantined": facts.quarantined,
            "pending": [day.isoformat() for day in facts.pending],
            "silent": [sender.cause for sender in facts.silent],
            "open": facts.open_causes,
        },
    )


def compose_test(now: datetime) -> Alert:
    """Compose the message of `myproperty alerts test`."""
    return Alert(
        event=f"test/{now.isoformat()}",
        cause="test",
        level="info",
        title="Test message of MyProperty",
        body=f"Sent at {now:%Y-%m-%d %H:%M} UTC by `myproperty alerts test`. Nothing is left to do.",
        fields={"kind": "test"},
    )


def _describe_rule(rule: RuleReport) -> str:
    tenants = f", tenant {_join(rule.tenants)}" if rule.tenants else ""
    return (
        f"- {clean(rule.rule, 80)} on {clean(rule.place, 80)}{tenants}\n"
        f"  expected: {clean(rule.expected)}\n  observed: {clean(rule.observed)}\n  mend: {clean(rule.mend)}"
    )


def _as_fields(rule: RuleReport) -> dict[str, Any]:
    return {
        "rule": clean(rule.rule, 80),
        "place": clean(rule.place, 80),
        "expected": clean(rule.expected),
        "observed": clean(rule.observed),
        "mend": clean(rule.mend),
        "tenants": [*rule.tenants[:MOST_NAMES]],
    }


def _repeat(job: str, dates: Sequence[date]) -> str:
    if job != "pipeline" or not dates:
        return "myproperty run"
    return f"myproperty run --from {min(dates).isoformat()} --to {max(dates).isoformat()}"


def _fit(head: list[str], items: list[str], tail: list[str]) -> str:
    """Join lines; leave out items beyond the limits and say how many."""
    left = LONGEST_BODY - sum(len(line) + 1 for line in [*head, *tail]) - len("and 100000 more\n")
    shown: list[str] = []
    for item in items[:MOST_RULES]:
        left -= len(item) + 1
        if left < 0:
            break
        shown.append(item)
    more = [f"and {len(items) - len(shown)} more"] if len(shown) < len(items) else []
    return "\n".join([*head, *shown, *more, *tail])


def _join(names: Sequence[str], most: int = MOST_NAMES) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(clean(name, 80) for name in names[:most]) + more


def _count(counts: dict[str, int]) -> str:
    shown = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{clean(name, 60)} {number}" for name, number in shown[:MOST_RULES]) or "none"
