"""Proof from the text of a statement that it reads no more partitions than it names.

A read of a partitioned table passes if the same SELECT holds it, by conjuncts alone, to literal dates on both
sides. Stricter than BigQuery, which also pushes filters into subqueries: what passes here prunes there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp, parse_one
from sqlglot.optimizer.scope import Scope, traverse_scope

from . import script
from .merge import source_of

Path = tuple[str, str, str]
LOWER, UPPER = frozenset({"lower"}), frozenset({"upper"})
BOTH = LOWER | UPPER
# (comparison, whether the column is on the left) -> the side that it bounds
SIDES: dict[type[exp.Expr], tuple[frozenset[str], frozenset[str]]] = {
    exp.GTE: (LOWER, UPPER),
    exp.GT: (LOWER, UPPER),
    exp.LTE: (UPPER, LOWER),
    exp.LT: (UPPER, LOWER),
    exp.EQ: (BOTH, BOTH),
}


@dataclass(frozen=True)
class Unpruned:
    """A read of a partitioned table whose partitions the statement does not name."""

    table: Path
    column: str
    missing: frozenset[str]
    sql: str

    def __str__(self) -> str:
        name, sides = ".".join(self.table), " and ".join(sorted(self.missing))
        return (
            f"{name} is read without a literal {sides} bound on its partition column {self.column}; "
            f"add one to the WHERE of the SELECT that names the table:\n{self.sql.strip()}"
        )


def unpruned(sql: str, partitions: Mapping[Path, str]) -> list[Unpruned]:
    """The reads of `sql` that do not prune; `partitions` maps each partitioned table to its column."""
    statement = parse_one(sql, dialect="bigquery")
    if isinstance(statement, exp.Merge):
        return [*_merge(sql, statement, partitions), *unpruned(source_of(sql), partitions)]
    if isinstance(statement, exp.Create):
        return unpruned(script.query_of(sql), partitions) if statement.expression else []
    if isinstance(statement, exp.Update | exp.Delete):
        return list(_changed(sql, statement, partitions))
    if isinstance(statement, exp.Query):
        return [found for scope in traverse_scope(statement) for found in _scope(sql, scope, partitions)]
    return []


def _path(table: exp.Table) -> Path:
    return table.catalog, table.db, table.name


def _scope(sql: str, scope: Scope, partitions: Mapping[Path, str]) -> Iterator[Unpruned]:
    for alias, source in scope.sources.items():
        if isinstance(source, exp.Table) and _path(source) in partitions:
            column = partitions[_path(source)]
            missing = BOTH - _bounds(_conjuncts_on(scope.expression, alias), alias, column)
            if missing:
                yield Unpruned(_path(source), column, missing, sql)


def _conjuncts_on(select: exp.Expr, alias: str) -> list[exp.Expr]:
    """The conditions that every row read from `alias` has to meet."""
    found = _conjuncts(select.args.get("where"))
    for join in select.args.get("joins") or []:
        # The condition of an outer join filters the joined side alone, that of an inner join both.
        outer = (join.side or "").upper() in {"LEFT", "RIGHT", "FULL"}
        if not outer or ((join.side or "").upper() == "LEFT" and join.alias_or_name == alias):
            found += _conjuncts(join.args.get("on"))
    return found


def _conjuncts(node: exp.Expr | None) -> list[exp.Expr]:
    if node is None:
        return []
    if isinstance(node, exp.Where | exp.Paren):
        return _conjuncts(node.this)
    if isinstance(node, exp.And):
        return _conjuncts(node.left) + _conjuncts(node.right)
    return [node]


def _bounds(conjuncts: list[exp.Expr], alias: str, column: str) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    for conjunct in conjuncts:
        found |= _bound(conjunct, alias, column)
    return found


def _bound(conjunct: exp.Expr, alias: str, column: str) -> frozenset[str]:
    if isinstance(conjunct, exp.Between):
        constant = _is_constant(conjunct.args["low"]) and _is_constant(conjunct.args["high"])
        return BOTH if constant and _is_partition(conjunct.this, alias, column) else frozenset()
    if isinstance(conjunct, exp.In):
        values = conjunct.expressions
        constant = bool(values) and all(_is_constant(v) for v in values)
        return BOTH if constant and _is_partition(conjunct.this, alias, column) else frozenset()
    if type(conjunct) not in SIDES:
        return frozenset()
    on_left, on_right = SIDES[type(conjunct)]
    if _is_partition(conjunct.this, alias, column) and _is_constant(conjunct.expression):
        return on_left
    if _is_partition(conjunct.expression, alias, column) and _is_constant(conjunct.this):
        return on_right
    return frozenset()


def _is_partition(node: exp.Expr, alias: str, column: str) -> bool:
    # dbt writes date(column) of a DATE column, which BigQuery folds away.
    if isinstance(node, exp.Date | exp.TsOrDsToDate) and isinstance(node.this, exp.Column):
        node = node.this
    if not isinstance(node, exp.Column) or node.name.lower() != column.lower():
        return False
    # A bare name is the partition column's: could it be another table's too, the analyzer refuses it.
    return not node.table or node.table.lower() == alias.lower()


def _is_constant(node: exp.Expr) -> bool:
    if isinstance(node, exp.Literal):
        return node.is_string
    if isinstance(node, exp.Cast | exp.Date | exp.TsOrDsToDate | exp.DateStrToDate):
        return isinstance(node.this, exp.Literal) and node.this.is_string
    return False


def _merge(sql: str, merge: exp.Merge, partitions: Mapping[Path, str]) -> Iterator[Unpruned]:
    """The target: held by ON, or, with ON FALSE, by every clause that looks at its rows."""
    target, on = merge.this, merge.args["on"]
    if _path(target) not in partitions:
        return
    column, alias = partitions[_path(target)], target.alias_or_name
    bounds = _bounds(_conjuncts(on), alias, column)
    if isinstance(on, exp.Boolean) and not on.this:
        looking = [w for w in merge.args["whens"].expressions if w.args.get("source")]
        held = [_bounds(_conjuncts(w.args.get("condition")), alias, column) for w in looking]
        bounds = frozenset(BOTH).intersection(*held)
    if BOTH - bounds:
        yield Unpruned(_path(target), column, BOTH - bounds, sql)


def _changed(
    sql: str, statement: exp.Update | exp.Delete, partitions: Mapping[Path, str]
) -> Iterator[Unpruned]:
    target = statement.this
    if _path(target) in partitions:
        column = partitions[_path(target)]
        missing = BOTH - _bounds(_conjuncts(statement.args.get("where")), target.alias_or_name, column)
        if missing:
            yield Unpruned(_path(target), column, missing, sql)
