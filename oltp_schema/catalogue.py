"""Read the catalogue of a live database: tables, columns, rules, triggers, policies, grants and functions.

Here: `pg_catalog` into plain records; any login may read it. Not here: the pages (`oltp_schema.pages`).
Partitions are left out, because they are like their table.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.rows import dict_row

from myproperty.database.roles import OWNERS
from myproperty.errors import PlatformError

R = TypeVar("R")
SCHEMAS = ("audit", "myproperty", "warehouse_staging")


class CatalogueError(PlatformError):
    """The catalogue cannot be read; the message says why and what to do."""


@dataclass(frozen=True)
class Column:
    """One column; `default` is the expression of a default, or of a generated column."""

    name: str
    type: str
    type_name: str
    nullable: bool
    default: str | None
    generated: bool
    comment: str | None


@dataclass(frozen=True)
class Constraint:
    """One constraint; `kind` as in pg_constraint.contype: p, u, f, c, x. A foreign key has a `target`."""

    name: str
    kind: str
    columns: tuple[str, ...]
    definition: str
    target: str | None
    target_columns: tuple[str, ...]

    @property
    def is_foreign_key(self) -> bool:
        return self.kind == "f"

    @property
    def naming_columns(self) -> list[str]:
        """Return the columns of a foreign key that identify the row, without those that repeat its tenant."""
        pairs = zip(self.columns, self.target_columns, strict=True)
        return [mine for mine, theirs in pairs if theirs in ("id", "code")]


@dataclass(frozen=True)
class Index:
    """An index that does not serve a constraint."""

    name: str
    definition: str


@dataclass(frozen=True)
class Trigger:
    """A trigger: an event such as "before update", a scope, its function and comment."""

    name: str
    event: str
    scope: str
    at_commit: bool
    is_enabled: bool
    condition: str | None
    function: str
    arguments: tuple[str, ...]
    comment: str | None


@dataclass(frozen=True)
class Policy:
    """A policy of row-level security."""

    name: str
    command: str
    roles: tuple[str, ...]
    using: str | None
    check: str | None


@dataclass(frozen=True)
class Grant:
    """A right of a role; `columns` is empty if the right is on the whole table."""

    role: str
    right: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table, partitioned table or view, with its parts."""

    schema: str
    name: str
    kind: str
    comment: str | None
    owner: str
    partitioned_by: str | None
    definition: str | None
    is_protected: bool
    columns: tuple[Column, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    policies: tuple[Policy, ...] = ()
    grants: tuple[Grant, ...] = ()

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def is_view(self) -> bool:
        return self.kind == "v"

    @property
    def foreign_keys(self) -> list[Constraint]:
        return [constraint for constraint in self.constraints if constraint.is_foreign_key]


@dataclass(frozen=True)
class Function:
    """A function; `executors` are the roles that may call it, without the roles that own objects."""

    name: str
    arguments: str
    result: str
    comment: str | None
    executors: tuple[str, ...]
    source: str

    @property
    def is_called(self) -> bool:
        """Whether sessions call it, and not only triggers or migrations."""
        return self.result != "trigger" and bool(self.executors)


@dataclass(frozen=True)
class ErrorCode:
    """One error of a function; `message` has … for each value."""

    sqlstate: str
    message: str
    remedy: str
    function: str


@dataclass(frozen=True)
class Catalogue:
    """The tables and functions of the documented schemas."""

    tables: tuple[Table, ...]
    functions: tuple[Function, ...]

    def error_codes(self) -> list[ErrorCode]:
        """Return every error that the source of the functions raises with an MP code, sorted."""
        return sorted(
            (code for function in self.functions for code in _errors_of(function)),
            key=lambda code: (code.sqlstate, code.function, code.message),
        )

    def referring_to(self, table: Table) -> list[tuple[Table, Constraint]]:
        """Return the foreign keys, with their tables, that refer to a table."""
        return [(t, key) for t in self.tables for key in t.foreign_keys if key.target == table.full_name]


def read_catalogue(dsn: str) -> Catalogue:
    """Read the documented schemas. Raises `CatalogueError` if they are missing or cannot be reached."""
    try:
        with psycopg.connect(dsn, connect_timeout=10, application_name="myproperty docs") as connection:
            catalogue = _read(connection)
    except psycopg.Error as error:
        raise CatalogueError(
            f"the catalogue cannot be read: {error}. Name a running PostgreSQL 18 with --dsn, "
            "and a login that may connect to it."
        ) from error
    if not catalogue.tables:
        raise CatalogueError(f"the schemas {', '.join(SCHEMAS)} do not exist: run `myproperty migrate` first")
    return catalogue


def _read(connection: psycopg.Connection) -> Catalogue:
    connection.execute("set transaction isolation level repeatable read, read only")
    # With only pg_catalog on the path, every name comes with its schema.
    connection.execute("set local search_path = pg_catalog")
    parts: dict[str, dict[int, list[Any]]] = {
        "columns": _by_table(connection, _COLUMNS, Column),
        "constraints": _by_table(connection, _CONSTRAINTS, Constraint),
        "indexes": _by_table(connection, _INDEXES, Index),
        "triggers": _by_table(connection, _TRIGGERS, Trigger),
        "policies": _by_table(connection, _POLICIES, Policy),
        "grants": _by_table(connection, _GRANTS, Grant),
    }
    tables = []
    for row in _rows(connection, _TABLES):
        oid = row.pop("oid")
        row |= {part: tuple(found[oid]) for part, found in parts.items()}
        tables.append(Table(**row))
    return Catalogue(tuple(tables), tuple(Function(**row) for row in _rows(connection, _FUNCTIONS)))


def _by_table(connection: psycopg.Connection, query: LiteralString, record: type[R]) -> dict[int, list[R]]:
    found = defaultdict(list)
    for row in _rows(connection, query):
        found[row.pop("oid")].append(record(**row))
    return found


def _rows(connection: psycopg.Connection, query: LiteralString) -> list[dict[str, Any]]:
    """Fetch rows as dictionaries, with arrays as tuples."""
    parameters = {"schemas": list(SCHEMAS), "owners": [role.name for role in OWNERS]}
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(query, parameters).fetchall()
    return [{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()} for row in rows]


_LITERAL = r"'(?:[^']|'')*'"
_RAISE = re.compile(
    rf"raise\s+exception\s+(?P<message>{_LITERAL})(?P<rest>(?:{_LITERAL}|[^';])*);", re.IGNORECASE
)
_SQLSTATE = re.compile(r"errcode\s*=\s*'(MP\d{3})'", re.IGNORECASE)
_HINT = re.compile(rf"hint\s*=\s*(?P<value>(?:{_LITERAL}|[^'])*)", re.IGNORECASE)


def _errors_of(function: Function) -> Iterable[ErrorCode]:
    for found in _RAISE.finditer(function.source):
        sqlstate = _SQLSTATE.search(found["rest"])
        if sqlstate is None:
            continue
        hint = _HINT.search(found["rest"])
        remedy = " ".join(_text(part) for part in re.findall(_LITERAL, hint["value"] if hint else ""))
        message = _text(found["message"]).replace("%", "…")
        yield ErrorCode(sqlstate[1], message, remedy, function.name)


def _text(literal: str) -> str:
    return literal[1:-1].replace("''", "'")


_TABLES = """
select
    c.oid, n.nspname as schema, c.relname as name, c.relkind::text as kind,
    obj_description(c.oid, 'pg_class') as comment, pg_get_userbyid(c.relowner) as owner,
    pg_get_partkeydef(c.oid) as partitioned_by,
    case when c.relkind = 'v' then pg_get_viewdef(c.oid, true) end as definition,
    c.relrowsecurity and c.relforcerowsecurity as is_protected
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s) and c.relkind in ('r', 'p', 'v') and not c.relispartition
order by n.nspname, c.relname
"""

_COLUMNS = """
select
    c.oid, a.attname as name, format_type(a.atttypid, a.atttypmod) as type, t.typname as type_name,
    not a.attnotnull as nullable, pg_get_expr(d.adbin, d.adrelid, true) as default,
    a.attgenerated <> '' as generated,
    col_description(c.oid, a.attnum) as comment
from pg_attribute as a
join pg_class as c on c.oid = a.attrelid
join pg_namespace as n on n.oid = c.relnamespace
join pg_type as t on t.oid = a.atttypid
left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
where n.nspname = any (%(schemas)s) and c.relkind in ('r', 'p', 'v') and a.attnum > 0 and not a.attisdropped
order by c.oid, a.attnum
"""

_CONSTRAINTS = """
select
    k.conrelid as oid, k.conname as name, k.contype::text as kind,
    coalesce((
        select array_agg(a.attname::text order by u.position)
        from unnest(k.conkey) with ordinality as u (number, position)
        join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = u.number
    ), '{}') as columns,
    pg_get_constraintdef(k.oid, true) as definition,
    f.relnamespace::regnamespace || '.' || f.relname as target,
    coalesce((
        select array_agg(a.attname::text order by u.position)
        from unnest(k.confkey) with ordinality as u (number, position)
        join pg_attribute as a on a.attrelid = k.confrelid and a.attnum = u.number
    ), '{}') as target_columns
from pg_constraint as k
join pg_class as c on c.oid = k.conrelid
join pg_namespace as n on n.oid = c.relnamespace
left join pg_class as f on f.oid = k.confrelid
where n.nspname = any (%(schemas)s) and k.contype in ('p', 'u', 'f', 'c', 'x') and k.conparentid = 0
order by k.conrelid, array_position('{p,u,x,f,c}', k.contype::text), k.conname
"""

_INDEXES = """
select i.indrelid as oid, x.relname as name, pg_get_indexdef(i.indexrelid) as definition
from pg_index as i
join pg_class as x on x.oid = i.indexrelid
join pg_namespace as n on n.oid = x.relnamespace
where n.nspname = any (%(schemas)s)
  and not exists (
      select from pg_constraint as k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')
  )
order by i.indrelid, x.relname
"""

# The bits of tgtype: 1 row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate, 64 instead of.
_TRIGGERS = """
select
    t.tgrelid as oid, t.tgname as name,
    case when t.tgtype & 2 > 0 then 'before ' when t.tgtype & 64 > 0 then 'instead of ' else 'after ' end
    || concat_ws(
        ' or ',
        case when t.tgtype & 4 > 0 then 'insert' end,
        case when t.tgtype & 16 > 0 then 'update' || coalesce(' of ' || (
            select string_agg(a.attname, ', ' order by a.attnum)
            from pg_attribute as a where a.attrelid = t.tgrelid and a.attnum = any (t.tgattr)
        ), '') end,
        case when t.tgtype & 8 > 0 then 'delete' end,
        case when t.tgtype & 32 > 0 then 'truncate' end
    ) as event,
    case when t.tgtype & 1 > 0 then 'row' else 'statement' end as scope,
    t.tginitdeferred as at_commit, t.tgenabled <> 'D' as is_enabled,
    substring(pg_get_triggerdef(t.oid, true) from 'WHEN \\((.*)\\) EXECUTE') as condition,
    p.pronamespace::regnamespace || '.' || p.proname as function,
    case when t.tgnargs > 0 then
        (string_to_array(encode(t.tgargs, 'escape'), '\\000'))[:t.tgnargs]
    else '{}' end as arguments,
    obj_description(p.oid, 'pg_proc') as comment
from pg_trigger as t
join pg_class as c on c.oid = t.tgrelid
join pg_namespace as n on n.oid = c.relnamespace
join pg_proc as p on p.oid = t.tgfoid
where n.nspname = any (%(schemas)s) and not t.tgisinternal
order by t.tgrelid, t.tgname
"""

_POLICIES = """
select
    p.polrelid as oid, p.polname as name,
    case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
    else 'all' end as command,
    array(select r.rolname::text from pg_roles as r where r.oid = any (p.polroles) order by 1) as roles,
    pg_get_expr(p.polqual, p.polrelid, true) as using, pg_get_expr(p.polwithcheck, p.polrelid, true) as check
from pg_policy as p
join pg_class as c on c.oid = p.polrelid
join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s)
order by p.polrelid, p.polname
"""

_GRANTS = """
with rights as (
    select c.oid, c.relowner, null::name as column_name, 0 as position, x.grantee, x.privilege_type
    from pg_class as c, aclexplode(c.relacl) as x
    union all
    select c.oid, c.relowner, a.attname, a.attnum, x.grantee, x.privilege_type
    from pg_class as c join pg_attribute as a on a.attrelid = c.oid, aclexplode(a.attacl) as x
    where not a.attisdropped
)
select
    r.oid, coalesce(g.rolname, 'public') as role, lower(r.privilege_type) as right,
    coalesce(
        array_agg(r.column_name::text order by r.position) filter (where r.position > 0), '{}'
    ) as columns
from rights as r
join pg_class as c on c.oid = r.oid
join pg_namespace as n on n.oid = c.relnamespace
left join pg_roles as g on g.oid = r.grantee
where n.nspname = any (%(schemas)s) and r.grantee <> r.relowner
group by r.oid, g.rolname, r.privilege_type, r.position > 0
order by
    r.oid, role, array_position('{select,insert,update,delete,truncate}', lower(r.privilege_type)), columns
"""

_FUNCTIONS = """
select
    n.nspname || '.' || p.proname as name, pg_get_function_identity_arguments(p.oid) as arguments,
    pg_get_function_result(p.oid) as result, obj_description(p.oid, 'pg_proc') as comment, p.prosrc as source,
    array(
        select coalesce(g.rolname::text, 'public')
        from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as x
        left join pg_roles as g on g.oid = x.grantee
        where x.privilege_type = 'EXECUTE' and coalesce(g.rolname, 'public') <> all (%(owners)s)
          and x.grantee <> p.proowner
        order by 1
    ) as executors
from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
where n.nspname = any (%(schemas)s)
order by n.nspname, p.proname, arguments
"""
