"""A resident of the demo whose personal fields hold one word, and the search for that word in every store."""

import gzip
import json
import uuid
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from myproperty import engines
from myproperty.personal import DOCUMENTS, FIELDS, Protection
from myproperty.sealing import Sealer
from myproperty.settings import Settings
from tests.oltp.sealed_company import MASTER, master_setting

# The resident has a ticket of their own with a timeline, and a tenancy that was billed and paid.
_RESIDENT = """
    select u.tenant_id as tenant, u.id as user, a.id as allocation_ledger, i.id as invoices, p.id as payments,
        l.id as invoice_lines, e.id as ledger_entries, t.id as service_tickets, n.id as ticket_activities,
        a.allocation_period_id as period, t.property_id as properties, u.tenant_id as tenants
    from myproperty.users as u
    join myproperty.service_tickets as t on t.tenant_id = u.tenant_id and t.opened_by = u.id
    join myproperty.ticket_activities as n on n.tenant_id = u.tenant_id and n.ticket_id = t.id
    join myproperty.tenancies as c on c.tenant_id = u.tenant_id and c.user_id = u.id
    join myproperty.allocation_ledger as a on a.tenant_id = u.tenant_id and a.tenancy_id = c.id
    join myproperty.invoices as i on i.tenant_id = u.tenant_id and i.tenant_user_id = u.id
    join myproperty.invoice_lines as l on l.tenant_id = u.tenant_id and l.invoice_id = i.id
    join myproperty.payments as p on p.tenant_id = u.tenant_id and p.invoice_id = i.id
    join myproperty.ledger_entries as e on e.tenant_id = u.tenant_id and e.reference_id = i.id
    where u.role = 'resident' order by t.id, a.id, i.id, l.id, p.id, n.id limit 1
"""
# A database refuses to change them, except by the erasure: the word is written past the triggers.
_FROZEN = {"ticket_activities", "allocation_adjustments", "invoice_lines", "ledger_entries"}
# Written by a trigger, or no text.
_DERIVED = {
    "myproperty.users.email", "myproperty.service_tickets.search", "myproperty.agent_audit.input_hash",
    "audit.invoices_history.metadata",
}  # fmt: skip
# A change of an issue would change what is published; tests/oltp/test_erased_texts.py has these columns.
ELSEWHERE = {f.column for f in FIELDS if f.column.startswith("myproperty.reading_issues.")}


@dataclass(frozen=True)
class Marked:
    """A resident, and the word in their fields."""

    tenant: uuid.UUID
    user: uuid.UUID
    word: str

    @property
    def name(self) -> str:
        """The name in full; texts that are not of the resident hold it."""
        return f"Quendolin {self.word}"


def with_keys(settings: Settings) -> Settings:
    """Return the settings with a master key."""
    return settings.model_copy(update={"master_keys": master_setting(a=MASTER)})


def mark_resident(settings: Settings) -> Marked:
    """Write a word into every personal field of a resident of the demo."""
    dsn = engines.dsn(settings)
    with psycopg.connect(dsn, row_factory=psycopg.rows.dict_row) as connection:
        rows = connection.execute(_RESIDENT.encode()).fetchone()
        assert rows is not None
        marked = Marked(rows["tenant"], rows["user"], f"zq{uuid.uuid4().hex[:12]}")
        _add_missing_rows(connection, rows)
        email = f"{marked.word}@wattlebird.example"
        connection.execute("update myproperty.users set email = %s where id = %s", (email, marked.user))
        for field in FIELDS:
            if field.protection is not Protection.SEALED and field.column not in _DERIVED | ELSEWHERE:
                _mark(connection, field.column, marked, rows)
    _seal(settings, marked)
    # The log of the server must not keep the statement, nor the key that is there already.
    with psycopg.connect(dsn) as connection:
        again = "insert into myproperty.users (tenant_id, email, role) values ('{}', '{}', 'owner')"
        try:
            connection.execute(again.format(marked.tenant, email).encode())
        except psycopg.errors.UniqueViolation:
            connection.rollback()
    return marked


def _add_missing_rows(connection: psycopg.Connection[Any], rows: dict[str, Any]) -> None:
    """Add rows to tables that the demo leaves empty; the pipeline does not count them."""
    decide = """
        insert into myproperty.adjustment_tasks
            (tenant_id, allocation_period_id, status, decided_by, decided_at, reason)
        select tenant_id, %s, 'dismissed', id, now(), 'x' from myproperty.users
        where tenant_id = %s and role = 'owner' limit 1
    """
    connection.execute(decide, (rows["period"], rows["tenant"]))
    adjust = """
        insert into myproperty.allocation_adjustments
            (tenant_id, allocation_id, solar_kwh_before, solar_kwh_after, grid_kwh_before, grid_kwh_after,
             loss_kwh_before, loss_kwh_after, adjusted_by, reason)
        select tenant_id, %s, 1, 1, 1, 1, 0, 0, id, 'x' from myproperty.users
        where tenant_id = %s and role = 'owner' limit 1
    """
    connection.execute(adjust, (rows["allocation_ledger"], rows["tenant"]))
    refuse = """
        insert into warehouse_staging.invalid_files (tenant_id, source_uri, rule, message, remedy)
        values (%s, 'x', 'FILE-EMPTY', 'x', 'x')
    """
    connection.execute(refuse, (rows["tenant"],))
    quarantine = """
        insert into warehouse_staging.quarantined_readings
            (tenant_id, ingestion_job_id, source_uri, rule, severity, reason, raw_text)
        select tenant_id, id, 'x', 'ROW-NAME', 'reject', 'x', 'x' from myproperty.ingestion_jobs
        where tenant_id = %s limit 1
    """
    connection.execute(quarantine, (rows["tenant"],))


def _mark(connection: psycopg.Connection[Any], column: str, marked: Marked, rows: dict[str, Any]) -> None:
    schema, table, name = column.split(".")
    # What is of the resident goes whatever it says; elsewhere the name is found.
    said = f"of {marked.word}" if table in rows and table not in ("tenants", "properties") else marked.name
    value = said
    if column in DOCUMENTS:
        value = json.dumps([said] if name == "attachments" else {"contact": f"Ask {said} first"})
    merged = sql.SQL("{} || %s").format(sql.Identifier(name)) if name == "metadata" else sql.SQL("%s")
    update = sql.SQL(
        "update {table} set {column} = {value} where tenant_id = %s and id = coalesce(%s, "
        "(select id from {table} where tenant_id = %s order by id limit 1))"
    ).format(table=sql.Identifier(schema, table), column=sql.Identifier(name), value=merged)
    role = "replica" if table in _FROZEN else "origin"
    connection.execute("select set_config('session_replication_role', %s, false)", (role,))
    values = (value, marked.tenant, rows.get(table), marked.tenant)
    assert connection.execute(update, values).rowcount == 1, column
    connection.execute("set session_replication_role = origin")


def _seal(settings: Settings, marked: Marked) -> None:
    """Seal the name and a number of the resident."""
    with (
        psycopg.connect(engines.dsn(settings)) as connection,
        Sealer(engines.dsn(settings), settings) as sealer,
    ):
        name = sealer.seal(
            marked.name, tenant=marked.tenant, user=marked.user, table="users", column="full_name",
            row=marked.user,
        )  # fmt: skip
        connection.execute("update myproperty.users set full_name = %s where id = %s", (name, marked.user))
        query = "select id from myproperty.notification_preferences where user_id = %s limit 1"
        preference = connection.execute(query, (marked.user,)).fetchall()[0][0]
        number = sealer.seal(
            f"+61 {marked.word}", tenant=marked.tenant, user=marked.user, table="notification_preferences",
            column="destination", row=preference,
        )  # fmt: skip
        update = "update myproperty.notification_preferences set destination = %s where id = %s"
        connection.execute(update, (number, preference))


def find_in_tables(dsn: str, word: str) -> set[str]:
    """Return the columns of a database, `schema.table.column`, that hold the word, in clear or in hex.

    All tables but those of PostgreSQL itself, and the statistics of the planner (`pg_stats`).
    """
    tables = """
        select c.relnamespace::regnamespace::text, c.relname from pg_class as c
        where c.relkind in ('r', 'm') and c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
        union all select 'pg_catalog', 'pg_stats'
    """
    pattern = f"{word}|{word.encode().hex()}"
    found = set()
    with psycopg.connect(dsn) as connection:
        for schema, table in connection.execute(tables).fetchall():
            query = sql.SQL(
                "select distinct f.key from {} as t cross join lateral jsonb_each_text(to_jsonb(t)) as f "
                "where t::text ~* %s and f.value ~* %s"
            ).format(sql.Identifier(schema, table))
            found |= {f"{schema}.{table}.{row[0]}" for row in connection.execute(query, (pattern, pattern))}
    return found


def find_in_data_files(dsn: str, data: Path, word: str) -> set[str]:
    """Return what holds the word below the folder of a server: tables by name, other files by path."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("checkpoint")
        names: dict[str, str] = dict(
            connection.execute(
                "select pg_relation_filepath(oid), coalesce(i.indrelid, c.oid)::regclass::text "
                "from pg_class as c left join pg_index as i on i.indexrelid = c.oid "
                "where pg_relation_filepath(oid) is not null"
            ).fetchall()
        )
    found = {str(path.relative_to(data)) for path in _files_with([word.encode()], [data])}
    return {names.get(path, path) for path in found}


def find_in_files(folders: Iterable[Path], word: str) -> set[Path]:
    """Return the files that hold the word in their name or text, packed ones too."""
    needles = [word.encode(), word.encode("utf-16-le"), word.encode().hex().encode()]
    return set(_files_with(needles, folders))


def _files_with(needles: list[bytes], folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and any(needle in text for text in _contents(path) for needle in needles):
                yield path


def _contents(path: Path) -> Iterator[bytes]:
    yield path.name.encode()
    try:
        content = path.read_bytes()
    except FileNotFoundError:  # the server works on
        return
    yield content
    if content.startswith(b"\x1f\x8b"):
        yield gzip.decompress(content)
    elif content.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())
