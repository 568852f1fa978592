"""The outbox: messages that wait, and which causes have been said. A file, `<home>/alerts.sqlite`.

Not in the OLTP database: that database being down is an event to be told. Not here: sending.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from dagster_project.alerts.messages import Alert, compose_recovery

# A channel that fails is tried again after a minute, then two, four ... at most an hour.
LONGEST_WAIT_MINUTES = 60
KEEP_SENT_DAYS = 30
_SCHEMA = """
create table if not exists messages (
    id integer primary key,
    event text not null,
    channel text not null,
    message text not null,
    created_at text not null,
    next_at text not null,
    attempts integer not null default 0,
    last_error text,
    sent_at text,
    unique (event, channel)
);
create table if not exists causes (
    cause text primary key,
    scope text not null,
    title text not null,
    dates text not null,
    said_at text not null,
    held integer not null default 0,
    is_open integer not null default 1
);
"""


@dataclass(frozen=True)
class WaitingMessage:
    """A message of one channel that has not been sent."""

    id: int
    channel: str
    title: str
    body: str
    level: str
    fields: dict[str, Any]
    attempts: int


class Outbox:
    """The messages of one environment; several processes may use it at once."""

    def __init__(self, path: Path, quiet_minutes: int) -> None:
        self._path = path
        self._quiet = timedelta(minutes=quiet_minutes)

    def add(self, alert: Alert, channels: Sequence[str], now: datetime) -> bool:
        """Store an alert for each channel, unless it was said already; return whether it was stored.

        In the quiet period of its cause, only its dates are kept: the recovery covers them too.
        """
        with self._open() as db:
            known = db.execute("select 1 from messages where event = ? limit 1", (alert.event,)).fetchone()
            if known or not channels:
                return False
            last = db.execute(
                "select said_at, is_open, dates from causes where cause = ?", (alert.cause,)
            ).fetchone()
            if last and last[1] and now - datetime.fromisoformat(last[0]) < self._quiet:
                dates = sorted({*json.loads(last[2]), *_as_texts(alert.dates)})
                db.execute(
                    "update causes set held = held + 1, dates = ? where cause = ?",
                    (json.dumps(dates), alert.cause),
                )
                return False
            if alert.level in ("failure", "warning"):
                self._record_cause(db, alert, now)
            self._store(db, alert, channels, now)
            return True

    def recover(self, cause: str, event: str, channels: Sequence[str], now: datetime) -> bool:
        """Say once that a cause has ended; return False if it is not open."""
        with self._open() as db:
            return self._close(db, cause, event, channels, now)

    def recover_dates(
        self, scope: str, dates: Sequence[date], event: str, channels: Sequence[str], now: datetime
    ) -> int:
        """Take the dates of a successful run of the job `scope` off its open causes.

        Return the number of causes that ended, each of which is said once.
        """
        done = set(_as_texts(dates))
        ended = 0
        with self._open() as db:
            causes = db.execute(
                "select cause, dates from causes where scope = ? and is_open", (scope,)
            ).fetchall()
            for cause, held_back in causes:
                left = [day for day in json.loads(held_back) if day not in done]
                db.execute("update causes set dates = ? where cause = ?", (json.dumps(left), cause))
                if not left:
                    ended += self._close(db, cause, f"{event}/{cause}", channels, now)
        return ended

    def waiting(self, now: datetime, channels: Sequence[str], limit: int) -> list[WaitingMessage]:
        """Return the oldest messages of these channels that are due."""
        with self._open() as db:
            rows = db.execute(
                "select id, channel, message, attempts from messages"
                " where sent_at is null and next_at <= ? and channel in (select value from json_each(?))"
                " order by id limit ?",
                (_text(now), json.dumps(list(channels)), limit),
            ).fetchall()
        return [
            WaitingMessage(number, channel, attempts=tries, **json.loads(message))
            for number, channel, message, tries in rows
        ]

    def record_sent(self, number: int, now: datetime) -> None:
        """Record that a message was sent, and delete old sent messages."""
        with self._open() as db:
            db.execute(
                "update messages set sent_at = ?, last_error = null where id = ?", (_text(now), number)
            )
            db.execute(
                "delete from messages where sent_at < ?", (_text(now - timedelta(days=KEEP_SENT_DAYS)),)
            )

    def record_failure(self, message: WaitingMessage, error: str, now: datetime) -> None:
        """Record a failed attempt; the message is tried again later, for ever."""
        minutes = min(2 ** min(message.attempts, 10), LONGEST_WAIT_MINUTES)
        with self._open() as db:
            db.execute(
                "update messages set attempts = attempts + 1, last_error = ?, next_at = ? where id = ?",
                (error, _text(now + timedelta(minutes=minutes)), message.id),
            )

    def make_due(self) -> None:
        """Let every unsent message be tried at once."""
        with self._open() as db:
            db.execute("update messages set next_at = created_at where sent_at is null")

    def status(self) -> dict[str, dict[str, Any]]:
        """Return for each channel with messages: unsent, since when, attempts, last error, last sent."""
        with self._open() as db:
            rows = db.execute(
                "select channel, sum(sent_at is null), min(case when sent_at is null then created_at end),"
                " max(case when sent_at is null then attempts end), max(sent_at),"
                " max(case when sent_at is null then last_error end) from messages group by channel"
            ).fetchall()
        names = ("unsent", "unsent_since", "attempts", "last_sent_at", "last_error")
        return {channel: dict(zip(names, row, strict=True)) for channel, *row in rows}

    def open_causes(self) -> list[dict[str, Any]]:
        """Return the causes that have not ended, with the number of repetitions that were held back."""
        with self._open() as db:
            rows = db.execute(
                "select cause, title, said_at, held from causes where is_open order by said_at"
            ).fetchall()
        return [dict(zip(("cause", "title", "said_at", "held"), row, strict=True)) for row in rows]

    def _record_cause(self, db: sqlite3.Connection, alert: Alert, now: datetime) -> None:
        known = db.execute("select dates from causes where cause = ? and is_open", (alert.cause,)).fetchone()
        before = json.loads(known[0]) if known else []
        dates = json.dumps(sorted({*before, *_as_texts(alert.dates)}))
        db.execute(
            "insert into causes (cause, scope, title, dates, said_at) values (?, ?, ?, ?, ?)"
            " on conflict (cause) do update set said_at = excluded.said_at, dates = excluded.dates,"
            " title = excluded.title, held = 0, is_open = 1",
            (alert.cause, alert.scope, alert.title, dates, _text(now)),
        )

    def _close(
        self, db: sqlite3.Connection, cause: str, event: str, channels: Sequence[str], now: datetime
    ) -> bool:
        found = db.execute("select title from causes where cause = ? and is_open", (cause,)).fetchone()
        if not found:
            return False
        db.execute("update causes set is_open = 0 where cause = ?", (cause,))
        self._store(db, compose_recovery(event, cause, found[0]), channels, now)
        return True

    def _store(self, db: sqlite3.Connection, alert: Alert, channels: Sequence[str], now: datetime) -> None:
        kept = asdict(alert)
        message = json.dumps({name: kept[name] for name in ("title", "body", "level", "fields")})
        db.executemany(
            "insert or ignore into messages (event, channel, message, created_at, next_at)"
            " values (?, ?, ?, ?, ?)",
            [(alert.event, channel, message, _text(now), _text(now)) for channel in channels],
        )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        # Transactions are written here: sqlite3 begins one only at the first change, after what was read.
        db = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        try:
            db.executescript(_SCHEMA)
            db.execute("begin immediate")
            yield db
            db.execute("commit")
        except BaseException:
            if db.in_transaction:
                db.execute("rollback")
            raise
        finally:
            db.close()


def _as_texts(dates: Sequence[date]) -> list[str]:
    return [day.isoformat() for day in dates]


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="seconds")
