"""The map of personal data is complete: against the catalogue, its comments, the trail, and landing."""

import json
from typing import Any, LiteralString

import psycopg
import pytest

from data.landing.entities import ENTITIES, LOADED
from myproperty.personal import FIELDS, FREE, PSEUDONYMS, Protection
from myproperty.sealing.cipher import SEALED_COLUMNS

pytestmark = pytest.mark.engine

# Every type that can hold text.
TEXTS: LiteralString = """
    select n.nspname || '.' || c.relname || '.' || a.attname
    from pg_attribute as a
    join pg_class as c on c.oid = a.attrelid
    join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname !~ '^(pg_|information_schema)' and c.relname <> 'alembic_version'
      and c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped
      and a.atttypid::regtype::text not in (
          'uuid', 'uuid[]', 'smallint', 'integer', 'bigint', 'numeric', 'double precision', 'boolean', 'date',
          'timestamp with time zone', 'daterange', 'int4range', 'tstzrange', 'xid8'
      )
"""
PERSONAL = {field.column: field for field in FIELDS}
DECLARED = {name: reason for reason, names in FREE.items() for name in names.split()}


def source_of(column: str) -> str:
    """Of a landing table, the column that is copied; else the column itself."""
    schema, table, name = column.split(".")
    return f"myproperty.{table}.{name}" if schema == "warehouse_staging" and table in ENTITIES else column


def unknown(db: psycopg.Connection[Any]) -> set[str]:
    """The text columns that are neither in the map nor declared free of personal data."""
    columns = {row[0] for row in db.execute(TEXTS)}
    return {
        column
        for column in columns
        if source_of(column) not in PERSONAL.keys() | DECLARED.keys()
        and f"*.{column.rpartition('.')[2]}" not in DECLARED
    }


def test_every_text_column_is_personal_or_free_of_personal_data(db: psycopg.Connection[Any]) -> None:
    assert unknown(db) == set(), "name it in myproperty/personal.py"
    columns = {row[0] for row in db.execute(TEXTS)}
    listed = PERSONAL.keys() | {name for name in DECLARED if not name.startswith("*.")}
    assert listed - columns == set()
    names = {column.rpartition(".")[2] for column in columns}
    assert {name for name in DECLARED if name.startswith("*.") and name[2:] not in names} == set()
    assert PERSONAL.keys() & DECLARED.keys() == set()


@pytest.mark.parametrize(
    ("statement", "column"),
    [
        ("alter table myproperty.units add column remark text", "myproperty.units.remark"),
        ("alter table myproperty.tenancies add column extra jsonb", "myproperty.tenancies.extra"),
        ("alter table myproperty.users add column phone varchar(20)", "myproperty.users.phone"),
        ("alter table myproperty.payments add column payers text[]", "myproperty.payments.payers"),
        ("create table audit.copies (line text)", "audit.copies.line"),
        ("alter table warehouse_staging.users add column email text", "warehouse_staging.users.email"),
    ],
)
def test_a_new_text_column_is_found(
    db: psycopg.Connection[Any], statement: LiteralString, column: str
) -> None:
    db.execute(statement)
    if column == "warehouse_staging.users.email":
        # It is known, as personal: landing must not have it.
        assert column in landed_personal(db)
    else:
        assert unknown(db) == {column}


def landed_personal(db: psycopg.Connection[Any]) -> set[str]:
    """The landing columns that are copies of personal fields."""
    columns = {row[0] for row in db.execute(TEXTS)}
    return {column for column in columns if source_of(column) != column and source_of(column) in PERSONAL}


def test_no_personal_field_is_landed(db: psycopg.Connection[Any]) -> None:
    assert landed_personal(db) == set()
    for field in FIELDS:
        schema, table, name = field.column.split(".")
        if schema == "myproperty" and table in ENTITIES:
            assert name in ENTITIES[table].withheld, field.column
    assert {"users", "properties"} <= ENTITIES.keys()
    assert all(not {"email", "metadata"} & set(entity.columns.names) for entity in LOADED.values())


def test_a_word_of_a_list_is_checked_by_the_database(db: psycopg.Connection[Any]) -> None:
    """So that `*.status` declares no free text."""
    reason = next(reason for reason in FREE if "a check of the database holds" in reason)
    checked = {
        row[0]
        for row in db.execute("""
            select c.conrelid::regclass || '.' || a.attname
            from pg_constraint as c cross join unnest(c.conkey) as k (number)
            join pg_attribute as a on a.attrelid = c.conrelid and a.attnum = k.number
            where c.contype in ('c', 'f')
        """)
    }
    names = FREE[reason].split()
    declared = {
        column
        for column in (row[0] for row in db.execute(TEXTS))
        if column.startswith("myproperty.") and (column in names or f"*.{column.rpartition('.')[2]}" in names)
    }
    assert len(declared) > 50
    assert declared - checked == COPIED_WORDS


# Written by the program from columns that are checked.
COPIED_WORDS = {
    "myproperty.adjustment_task_readings.channel",
    "myproperty.meter_reading_versions.channel",
    "myproperty.meter_reading_versions.quality",
    "myproperty.reading_issues.channel",
    "myproperty.reading_totals.channel",
}


def test_comments_say_what_becomes_of_a_personal_field(db: psycopg.Connection[Any]) -> None:
    query = """
        select n.nspname || '.' || c.relname || '.' || a.attname, col_description(c.oid, a.attnum)
        from pg_attribute as a join pg_class as c on c.oid = a.attrelid
        join pg_namespace as n on n.oid = c.relnamespace
        where col_description(c.oid, a.attnum) like '%Personal (%' and not c.relispartition
    """
    tagged = dict(db.execute(query).fetchall())
    assert tagged.keys() == PERSONAL.keys()
    assert [c for c, comment in tagged.items() if not comment.endswith(PERSONAL[c].tag)] == []


def test_sealed_fields_are_those_of_the_cipher(db: psycopg.Connection[Any]) -> None:
    query = """
        select attrelid::regclass || '.' || attname from pg_attribute
        where atttypid = 'myproperty.sealed'::regtype
    """
    sealed = {row[0] for row in db.execute(query)}
    assert sealed == {f.column for f in FIELDS if f.protection is Protection.SEALED}
    assert sealed == {f"myproperty.{table}.{column}" for table, column in SEALED_COLUMNS}


def test_the_trail_logs_no_personal_field(db: psycopg.Connection[Any]) -> None:
    """The second argument of the trigger lists the columns that it does not log."""
    query = """
        select tgrelid::regclass::text, tgargs from pg_trigger where tgfoid = 'audit.log_action'::regproc
    """
    hidden: dict[str, set[str]] = {}
    for table, arguments in db.execute(query):
        hidden[table] = set(bytes(arguments).split(b"\0")[1].decode().strip("{}").split(","))
    assert len(hidden) > 40
    clear = [f for f in FIELDS if f.protection is not Protection.SEALED and not f.column.startswith("audit.")]
    logged = [f.column for f in clear if f.column.split(".")[2] not in hidden[f.column.rpartition(".")[0]]]
    assert logged == []


def test_the_trail_of_before_lost_the_values_too(migrated_from_before: tuple[dict[str, Any], ...]) -> None:
    before, after = migrated_from_before
    assert before["new_values"]["metadata"] == {"contact": "Zimt"}
    assert after["new_values"] == {**before["new_values"], "metadata": "(personal)", "address": "(personal)",
                                   "utility_account_number": "(personal)"}  # fmt: skip
    assert {**after, "new_values": 0} == {**before, "new_values": 0}


@pytest.fixture
def migrated_from_before(fresh_database: Any) -> tuple[dict[str, Any], ...]:
    """The entry of a property in the trail, before and after the revision that hides its metadata."""
    from oltp_schema.migrate import upgrade

    seen = []
    with fresh_database("before") as dsn:
        upgrade(dsn, "0017_archive_whole_dates")
        with psycopg.connect(dsn) as connection:
            tenant = connection.execute(
                "insert into myproperty.tenants (name, region) values ('a', 'AU') returning id"
            ).fetchall()[0][0]
            connection.execute(
                "insert into myproperty.properties (tenant_id, name, timezone, metadata) "
                "values (%s, 'a', 'UTC', %s)",
                (tenant, json.dumps({"contact": "Zimt"})),
            )
        for _ in range(2):
            with psycopg.connect(dsn, row_factory=psycopg.rows.dict_row) as connection:
                query = "select * from audit.logged_actions where table_name = 'properties'"
                seen.append(connection.execute(query).fetchall()[0])
            upgrade(dsn)
        with psycopg.connect(dsn) as connection, pytest.raises(psycopg.Error, match="is history"):
            connection.execute("update audit.logged_actions set old_values = null")
    return tuple(seen)


def test_every_id_of_a_person_that_is_copied_is_a_pseudonym_of_the_map(db: psycopg.Connection[Any]) -> None:
    query = """
        select c.conrelid::regclass::text, a.attname
        from pg_constraint as c cross join unnest(c.conkey) as k (number)
        join pg_attribute as a on a.attrelid = c.conrelid and a.attnum = k.number
        where c.contype = 'f'
          and c.confrelid in ('myproperty.users'::regclass, 'myproperty.tenancies'::regclass)
          and c.conrelid::regclass::text ~ '^myproperty[.]'
          and a.attname not in ('tenant_id', 'unit_id')
    """
    ids = {f"{table.removeprefix('myproperty.')}.{name}" for table, name in db.execute(query)}
    copied = {
        column for column in ids if (entity := ENTITIES.get(column.split(".")[0]))
        and column.split(".")[1] in entity.columns.names
    }  # fmt: skip
    assert copied | {"users.id", "tenancies.id"} == PSEUDONYMS
