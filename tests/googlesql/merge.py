"""MERGE for the reference implementation, which has none: queries that give the rows after the statement.

The query in USING keeps its own text. The conditions and values of the WHEN clauses are rendered again.
"""

from dataclasses import dataclass

from sqlglot import exp, parse_one
from sqlglot.tokenizer_core import TokenType

from . import script
from .engine import Column, Contents, GoogleSqlError, Relation, Row, execute

DEST = ("merge", "run", "dest")
SOURCE = ("merge", "run", "source")
DEST_MARK, SOURCE_MARK, CHOSEN = "dest_row_", "source_row_", "chosen_when_"


@dataclass(frozen=True)
class When:
    """One WHEN clause: `condition` on the joined row, and the values by column, or None to delete the row."""

    condition: str
    values: dict[str, str] | None


@dataclass(frozen=True)
class Plan:
    """A MERGE taken apart; `on` is None where it is the constant FALSE."""

    target: tuple[str, ...]
    target_alias: str
    source: str
    source_alias: str
    on: str | None
    whens: tuple[When, ...]


def plan(sql: str) -> Plan:
    """Read a MERGE statement; GoogleSqlError where a clause has no meaning here."""
    merge = parse_one(sql, dialect="bigquery")
    if not isinstance(merge, exp.Merge):
        raise GoogleSqlError(f"not a MERGE:\n{sql}")
    target, source, on = merge.this, merge.args["using"], merge.args["on"]
    dest_alias, source_alias = target.alias_or_name, source.alias_or_name
    whens = [_when(w, dest_alias, source_alias) for w in merge.args["whens"].expressions]
    never = isinstance(on, exp.Boolean) and not on.this
    return Plan(
        tuple(part.name for part in target.parts),
        dest_alias,
        source_of(sql),
        source_alias,
        None if never else _render(on),
        tuple(whens),
    )


def _render(node: exp.Expression) -> str:
    return node.sql(dialect="bigquery")


def source_of(sql: str) -> str:
    """The query that a MERGE reads from, in its own words."""
    found = script.tokens(sql)
    place = next(i for i, token in enumerate(found) if token.token_type == TokenType.USING)
    following = found[place + 1]
    if following.token_type == TokenType.L_PAREN:
        return script.between_parentheses(sql, following.start)[0]
    end = next(t.start for t in found[place + 1 :] if t.token_type in (TokenType.ALIAS, TokenType.ON))
    return f"select * from {sql[following.start : end]}"


def _when(clause: exp.When, dest: str, source: str) -> When:
    dest_there, source_there = f"{dest}.{DEST_MARK} is not null", f"{source}.{SOURCE_MARK} is not null"
    if clause.args["matched"]:
        condition = f"{dest_there} and {source_there}"
    elif clause.args.get("source"):
        condition = f"{dest_there} and not {source_there}"
    else:
        condition = f"{source_there} and not {dest_there}"
    if clause.args.get("condition"):
        condition += f" and ({_render(clause.args['condition'])})"
    return When(condition, _values(clause.args["then"], dest))


def _values(then: exp.Expression, dest: str) -> dict[str, str] | None:
    if isinstance(then, exp.Update):
        return {e.this.name: _render(e.expression) for e in then.expressions}
    if isinstance(then, exp.Insert) and isinstance(then.this, exp.Tuple):
        names = [c.name for c in then.this.expressions]
        return dict(zip(names, [_render(v) for v in then.expression.expressions], strict=True))
    if isinstance(then, exp.Var) and then.name.upper() == "DELETE":
        return None
    raise GoogleSqlError(f"{dest}: a WHEN clause that is not run here: {_render(then)}")


def _case(values: list[str]) -> str:
    arms = " ".join(f"when {number} then {value}" for number, value in enumerate(values))
    return f"case {CHOSEN} {arms} end"


def _select(plan_: Plan, columns: tuple[Column, ...], join: str) -> str:
    """For each joined row the number of its WHEN clause, its row of the target, and the new values."""
    dest = plan_.target_alias
    conditions = " ".join(f"when {when.condition} then {n}" for n, when in enumerate(plan_.whens))
    # The names of an INSERT list and of SET may differ in case from the table's.
    lowered = [{k.lower(): v for k, v in (w.values or {}).items()} for w in plan_.whens]
    results = [
        _case([f"cast({v.get(c.name.lower(), f'{dest}.{c.name}')} as {c.type})" for v in lowered])
        for c in columns
    ]
    # The conditions are evaluated once for each row, not once for each of its columns.
    chosen = f"cross join unnest([case {conditions} end]) as {CHOSEN}"
    return f"select {CHOSEN}, {dest}.{DEST_MARK}, {', '.join(results)} from {join} {chosen}"


def _marked(contents: Contents, path: tuple[str, str, str], mark: str) -> Contents:
    columns = (*contents.relation.columns, Column(mark, "INT64"))
    return Contents(Relation(path, columns), [(*row, i) for i, row in enumerate(contents.rows)])


def _joins(plan_: Plan) -> list[str]:
    source = f"`{'`.`'.join(SOURCE)}` as {plan_.source_alias}"
    nothing = f"(select * from `{'`.`'.join(SOURCE)}` where false) as {plan_.source_alias}"
    # As one column: in VALUES a name without a qualifier means the source's column, never the target's.
    dest = f"(select whole as {plan_.target_alias} from `{'`.`'.join(DEST)}` as whole{{}})"
    if plan_.on is not None:
        return [f"{dest.format('')} full join {source} on {plan_.on}"]
    return [
        f"{dest.format('')} left join {nothing} on false",
        f"{source} left join {dest.format(' where false')} on false",
    ]


def rows_after(
    plan_: Plan, target: Contents, source: tuple[tuple[Column, ...], list[Row]], relation: Relation
) -> list[Row]:
    """The rows of the target after the statement, in no order."""
    dest = _marked(target, DEST, DEST_MARK)
    other = _marked(Contents(Relation(SOURCE, source[0]), source[1]), SOURCE, SOURCE_MARK)
    rows: list[Row] = []
    for join in _joins(plan_):
        rows.extend(execute(_select(plan_, relation.columns, join), [dest, other])[1])
    matched = [row[1] for row in rows if row[1] is not None]
    if len(matched) != len(set(matched)):
        raise GoogleSqlError(f"{relation.quoted}: MERGE matches a target row with more than one source row")
    touched = {row[1] for row in rows if row[0] is not None}
    kept = [row for number, row in enumerate(target.rows) if number not in touched]
    return kept + [row[2:] for row in rows if row[0] is not None and plan_.whens[row[0]].values is not None]
