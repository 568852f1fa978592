"""Proof from the text of a statement that no join mixes tenants.

A join passes if its condition, by conjuncts alone, equates the `tenant_id` of two sides; one side of a cross
join may instead have no tenant at all (days), and one side of any join may be reference data, which is read
from tables alone that have no tenant. Not here: which rows a tenant has.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlglot import exp, parse_one

from . import script
from .merge import source_of

TENANT = "tenant_id"
Path = tuple[str, str, str]


@dataclass(frozen=True)
class Leak:
    """A join that does not carry the tenant."""

    join: str
    sql: str

    def __str__(self) -> str:
        return f"'{self.join}' carries no {TENANT}; add it to the condition:\n{self.sql.strip()}"


def leaks(sql: str, reference_tables: Collection[Path] = ()) -> list[Leak]:
    """The joins of a BigQuery statement on which rows of two tenants could meet.

    `reference_tables` are those without a tenant, by (project, dataset, table).
    """
    statement = parse_one(sql, dialect="bigquery")
    if isinstance(statement, exp.Merge):
        return leaks(source_of(sql), reference_tables)
    if isinstance(statement, exp.Create):
        return leaks(script.query_of(sql), reference_tables) if statement.expression else []
    reference = _reference(statement, reference_tables)
    tenantless = {cte.alias for cte in statement.find_all(exp.CTE) if not _has_tenant(cte.this)}
    return [
        Leak(join.sql(dialect="bigquery"), sql)
        for join in statement.find_all(exp.Join)
        if not _carries(join)
        and not _is_cross_with(join, tenantless)
        and not _is_of(join.this, reference, reference_tables)
    ]


def _reference(statement: exp.Expr, tables: Collection[Path]) -> set[str]:
    """The common table expressions that read nothing but reference tables, or others like themselves.

    One that reads no table, such as a series of numbers, holds nobody's rows.
    """
    reads = {cte.alias: list(cte.this.find_all(exp.Table)) for cte in statement.find_all(exp.CTE)}
    found: set[str] = set()
    while more := {
        name
        for name, read in reads.items()
        if name not in found and all(_is_of(table, found, tables) for table in read)
    }:
        found |= more
    return found


def _is_of(joined: exp.Expr, names: set[str], tables: Collection[Path]) -> bool:
    if not isinstance(joined, exp.Table):
        return False
    if joined.db:
        return (joined.catalog, joined.db, joined.name) in tables
    return joined.name in names


def _has_tenant(query: exp.Expr) -> bool:
    """Whether any column of the query, or a star in it, may be a tenant's."""
    return any(query.find_all(exp.Star)) or any(c.name == TENANT for c in query.find_all(exp.Column))


def _is_cross_with(join: exp.Join, tenantless: set[str]) -> bool:
    if join.args.get("on") or join.args.get("using"):
        return False
    return isinstance(join.this, exp.Unnest) or join.this.name in tenantless


def _carries(join: exp.Join) -> bool:
    if any(column.name == TENANT for column in join.args.get("using") or []):
        return True
    return any(_equates_tenants(condition) for condition in _conjuncts(join.args.get("on")))


def _conjuncts(condition: exp.Expr | None) -> list[exp.Expr]:
    if isinstance(condition, exp.Paren):
        return _conjuncts(condition.this)
    if isinstance(condition, exp.And):
        return [*_conjuncts(condition.left), *_conjuncts(condition.right)]
    return [condition] if condition else []


def _equates_tenants(condition: exp.Expr) -> bool:
    sides = (condition.left, condition.right) if isinstance(condition, exp.EQ) else ()
    columns = [side for side in sides if isinstance(side, exp.Column) and side.name == TENANT]
    return len(columns) == 2 and columns[0].table != columns[1].table
