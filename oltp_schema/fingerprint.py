"""Describe the schemas of a database in lines of text, and reduce them to one checksum.

Two databases with the same lines have the same schema: relations, columns, constraints, indexes, policies,
triggers, functions, types, rights and comments. Not described: partitions, since the data decides which
exist, and the schema `originfd`, which another system owns.
"""

import hashlib
import sys
from typing import Any, LiteralString

import psycopg

SCHEMAS = ("audit", "myproperty", "warehouse_staging")


def describe_schema(connection: psycopg.Connection, schemas: tuple[str, ...] = SCHEMAS) -> list[str]:
    """Return one line for each object of the schemas, sorted, without oids."""
    lines: list[str] = []
    # With nothing else on the path every name comes with its schema. Rolled back: the caller keeps its path.
    with connection.transaction(force_rollback=True):
        connection.execute("set local search_path = pg_catalog")
        for kind, query in _QUERIES.items():
            for row in connection.execute(query, {"schemas": list(schemas)}):
                lines.append(" | ".join([kind, *map(_as_text, row)]))
    return sorted(lines)


def take_fingerprint(connection: psycopg.Connection) -> str:
    """Return the SHA-256 of the description of the schemas, in hex."""
    return hashlib.sha256("\n".join(describe_schema(connection)).encode()).hexdigest()


def _as_text(value: Any) -> str:
    """Write a list sorted: rights are stored in the order in which they were granted."""
    return ",".join(sorted(value)) if isinstance(value, list) else "" if value is None else str(value)


_QUERIES: dict[str, LiteralString] = {
    "schema": """
        select n.nspname, n.nspowner::regrole, coalesce(n.nspacl, acldefault('n', n.nspowner))::text[],
            obj_description(n.oid, 'pg_namespace')
        from pg_namespace as n where n.nspname = any (%(schemas)s)
    """,
    "relation": """
        select c.oid::regclass, c.relkind, c.relowner::regrole, c.relpersistence, c.relrowsecurity,
            c.relforcerowsecurity, c.relreplident, c.reloptions, pg_get_partkeydef(c.oid),
            case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end,
            coalesce(c.relacl, acldefault('r', c.relowner))::text[], obj_description(c.oid, 'pg_class')
        from pg_class as c
        where c.relnamespace::regnamespace::text = any (%(schemas)s) and not c.relispartition
          and c.relkind not in ('i', 'I', 'c')
    """,
    "column": """
        select c.oid::regclass, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            pg_get_expr(d.adbin, d.adrelid), a.attgenerated, a.attidentity, a.attcollation::regcollation,
            a.attstorage, a.attcompression, a.attstattarget, a.attoptions, a.attacl::text[],
            col_description(c.oid, a.attnum)
        from pg_attribute as a join pg_class as c on c.oid = a.attrelid
        left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where c.relnamespace::regnamespace::text = any (%(schemas)s) and not c.relispartition
          and c.relkind not in ('i', 'I', 'c') and a.attnum > 0 and not a.attisdropped
    """,
    "constraint": """
        select c.oid::regclass, k.conname, k.contype, pg_get_constraintdef(k.oid), k.condeferrable,
            k.condeferred, k.convalidated, k.conenforced, obj_description(k.oid, 'pg_constraint')
        from pg_constraint as k join pg_class as c on c.oid = k.conrelid
        where c.relnamespace::regnamespace::text = any (%(schemas)s) and not c.relispartition
          and k.conparentid = 0
    """,
    "index": """
        select c.oid::regclass, pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisclustered,
            i.indisreplident, obj_description(i.indexrelid, 'pg_class')
        from pg_index as i join pg_class as c on c.oid = i.indrelid
        where c.relnamespace::regnamespace::text = any (%(schemas)s) and not c.relispartition
    """,
    "policy": """
        select c.oid::regclass, p.polname, p.polpermissive, p.polcmd, p.polroles::regrole[]::text[],
            pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid),
            obj_description(p.oid, 'pg_policy')
        from pg_policy as p join pg_class as c on c.oid = p.polrelid
        where c.relnamespace::regnamespace::text = any (%(schemas)s) and not c.relispartition
    """,
    "trigger": """
        select c.oid::regclass, pg_get_triggerdef(t.oid), t.tgenabled, obj_description(t.oid, 'pg_trigger')
        from pg_trigger as t join pg_class as c on c.oid = t.tgrelid
        where c.relnamespace::regnamespace::text = any (%(schemas)s) and not c.relispartition
          and not t.tgisinternal
    """,
    "rule": """
        select c.oid::regclass, pg_get_ruledef(r.oid)
        from pg_rewrite as r join pg_class as c on c.oid = r.ev_class
        where c.relnamespace::regnamespace::text = any (%(schemas)s) and r.rulename <> '_RETURN'
    """,
    "statistics": """
        select pg_get_statisticsobjdef(s.oid) from pg_statistic_ext as s
        where s.stxnamespace::regnamespace::text = any (%(schemas)s)
    """,
    "function": """
        select pg_get_functiondef(p.oid), p.proowner::regrole,
            coalesce(p.proacl, acldefault('f', p.proowner))::text[], obj_description(p.oid, 'pg_proc')
        from pg_proc as p where p.pronamespace::regnamespace::text = any (%(schemas)s)
    """,
    "type": """
        select t.oid::regtype, t.typtype, t.typowner::regrole, t.typnotnull, t.typdefault,
            case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) end,
            array(
                select k.conname || ' ' || pg_get_constraintdef(k.oid)
                from pg_constraint as k where k.contypid = t.oid
            ),
            coalesce(t.typacl, acldefault('T', t.typowner))::text[], obj_description(t.oid, 'pg_type')
        from pg_type as t left join pg_class as c on c.oid = t.typrelid
        where t.typnamespace::regnamespace::text = any (%(schemas)s) and t.typelem = 0
          and c.relispartition is not true
    """,
    "default rights": """
        select d.defaclrole::regrole, n.nspname, d.defaclobjtype, d.defaclacl::text[]
        from pg_default_acl as d left join pg_namespace as n on n.oid = d.defaclnamespace
        where n.nspname is null or n.nspname = any (%(schemas)s)
    """,
    "extension": """
        select e.extname, e.extnamespace::regnamespace from pg_extension as e
        where e.extname in ('btree_gist', 'citext')
    """,
}


if __name__ == "__main__":
    with psycopg.connect(sys.argv[1]) as database:
        sys.stdout.write("\n".join(describe_schema(database)) + "\n")
