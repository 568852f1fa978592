"""Render a catalogue as the Markdown pages of `docs/schema`: one page for each table, an index with diagrams.

Here: wording and layout, as pure functions of a `Catalogue`. Not here: reading it, or writing files.
"""

import re
from collections.abc import Iterable

from oltp_schema.catalogue import Catalogue, Column, Constraint, Grant, Table

# Put a new table into an area here; until then it is listed under UNPLACED, which a test refuses.
UNPLACED = "No area"
AREAS = {
    "People and property": (
        "myproperty.tenants", "myproperty.users", "myproperty.notification_preferences",
        "myproperty.data_keys", "myproperty.properties", "myproperty.units", "myproperty.tenancies",
        "myproperty.solar_assets", "myproperty.solar_appraisals",
    ),
    "Meters and readings": (
        "myproperty.meters", "myproperty.meter_registers", "myproperty.meter_assignments",
        "myproperty.meter_readings", "myproperty.meter_reading_versions",
        "myproperty.ingestion_jobs", "myproperty.ingestion_job_dates",
        "myproperty.vee_thresholds", "myproperty.register_reads", "myproperty.reading_issues",
        "myproperty.validated_dates", "myproperty.reading_totals",
        "myproperty.solar_reference_yields",
    ),
    "Tariffs and allocation": (
        "myproperty.providers", "myproperty.rate_plans", "myproperty.rate_plan_bands",
        "myproperty.rate_plan_assignments", "myproperty.feed_in_assignments",
        "myproperty.emission_factor_regions",
        "myproperty.allocation_methods", "myproperty.allocation_keys", "myproperty.allocation_periods",
        "myproperty.allocation_ledger", "myproperty.allocation_adjustments",
        "myproperty.adjustment_tasks", "myproperty.adjustment_task_readings",
    ),
    "Billing": (
        "myproperty.invoices", "myproperty.invoice_lines", "myproperty.payments",
        "myproperty.ledger_accounts", "myproperty.ledger_entries", "myproperty.account_balances",
        "myproperty.balance_sheets", "myproperty.invoice_ties",
    ),
    "Service": (
        "myproperty.service_tickets", "myproperty.ticket_quotes", "myproperty.ticket_schedules",
        "myproperty.ticket_activities", "myproperty.project_links", "myproperty.compliance_rule_states",
    ),
    "Agents": ("myproperty.agent_messages", "myproperty.agent_audit"),
    "Audit and history": (
        "audit.logged_actions", "audit.invoices_history", "audit.ledger_entries_history",
    ),
    "Quarantine, landing and the pipeline": (
        "warehouse_staging.invalid_files", "warehouse_staging.quarantined_readings",
        "warehouse_staging.gate_results", "warehouse_staging.published_dates",
        "warehouse_staging.landed_sources",
        "warehouse_staging.withdrawn_dates", "warehouse_staging.left_out_tenants",
        "warehouse_staging.pipeline_runs", "warehouse_staging.quality_days", "warehouse_staging.quality_runs",
        "warehouse_staging.archived_dates", "warehouse_staging.tenants",
        "warehouse_staging.properties", "warehouse_staging.units", "warehouse_staging.meters",
        "warehouse_staging.meter_registers", "warehouse_staging.meter_assignments",
        "warehouse_staging.users", "warehouse_staging.tenancies", "warehouse_staging.solar_assets",
        "warehouse_staging.providers", "warehouse_staging.rate_plans", "warehouse_staging.rate_plan_bands",
        "warehouse_staging.rate_plan_assignments", "warehouse_staging.feed_in_assignments",
        "warehouse_staging.emission_factor_regions",
        "warehouse_staging.allocation_methods", "warehouse_staging.allocation_keys",
        "warehouse_staging.allocation_periods", "warehouse_staging.allocation_ledger",
        "warehouse_staging.invoices", "warehouse_staging.invoice_lines", "warehouse_staging.payments",
        "warehouse_staging.ledger_entries", "warehouse_staging.service_tickets",
        "warehouse_staging.ticket_quotes", "warehouse_staging.ticket_schedules",
        "warehouse_staging.ticket_activities", "warehouse_staging.agent_messages",
        "warehouse_staging.agent_audit", "warehouse_staging.solar_appraisals",
        "warehouse_staging.solar_reference_yields", "warehouse_staging.ledger_accounts",
        "warehouse_staging.allocation_adjustments", "warehouse_staging.compliance_rule_states",
        "warehouse_staging.project_links", "warehouse_staging.reading_issues",
        "warehouse_staging.meter_readings",
    ),
}  # fmt: skip

COMMON = {
    "id": "Identifies the row.",
    "tenant_id": "The tenant that owns the row.",
    "created_at": "When the row was inserted.",
    "updated_at": "When the row was last changed.",
    "version": "Number of the version; see [versions](../oltp.md#versions).",
}
KINDS = {"r": "Table", "p": "Partitioned table", "v": "View"}
KEYS = {"p": "primary key", "u": "unique"}


def schema_pages(catalogue: Catalogue) -> dict[str, str]:
    """Return file name to text: one page for each table or view, and README.md."""
    pages = {f"{table.full_name}.md": table_page(catalogue, table) for table in catalogue.tables}
    return {"README.md": index_page(catalogue), **pages}


def markdown_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Format a Markdown table, or return an empty string if there are no rows."""
    body = list(rows)
    if not body:
        return ""
    lines = [head, tuple("---" for _ in head), *body]
    cells = (" | ".join(cell.replace("|", "\\|") for cell in line) for line in lines)
    return "".join(f"| {line} |\n" for line in cells)


def table_page(catalogue: Catalogue, table: Table) -> str:
    """Render the page of one table or view."""
    of_kind = {kind: [c for c in table.constraints if c.kind in kind] for kind in ("pu", "c", "x")}
    sections = {
        "Columns": _columns(catalogue, table),
        "Keys": markdown_table(("Name", "Kind", "Columns"), map(_key, of_kind["pu"])),
        "Foreign keys": markdown_table(
            ("Name", "Columns", "Refers to", "Rule"), [_foreign_key(catalogue, k) for k in table.foreign_keys]
        ),
        "Referred to by": _references(catalogue, table),
        "Checks": markdown_table(("Name", "Requires"), map(_check, of_kind["c"])),
        "Exclusions": markdown_table(("Name", "Excludes two rows with"), map(_check, of_kind["x"])),
        "Other indexes": markdown_table(
            ("Name", "Definition"), [(f"`{i.name}`", _code(i.definition)) for i in table.indexes]
        ),
        "Triggers": _triggers(table),
        "Policies": _policies(table),
        "Rights": _grants(table),
        "Definition": f"```sql\n{table.definition.strip()}\n```\n" if table.definition else "",
    }
    parts = [f"# `{table.full_name}`\n", f"{table.comment or ''}\n", f"{_head(table)}\n"]
    parts += [f"## {title}\n\n{text}" for title, text in sections.items() if text]
    return "\n".join(parts)


def _head(table: Table) -> str:
    partitions = f", by {_code(table.partitioned_by)}" if table.partitioned_by else ""
    return f"{KINDS[table.kind]}{partitions}, owned by `{table.owner}`. [All tables](README.md)"


def _columns(catalogue: Catalogue, table: Table) -> str:
    meanings = [_meaning(catalogue, table, column) for column in table.columns]
    if table.is_view:
        seen = [(f"`{c.name}`", f"`{c.type}`", text) for c, text in zip(table.columns, meanings, strict=True)]
        return markdown_table(("Column", "Type", "Meaning"), seen)
    rows = [
        (f"`{c.name}`", f"`{c.type}`", "yes" if c.nullable else "", _default(c), text)
        for c, text in zip(table.columns, meanings, strict=True)
    ]
    return markdown_table(("Column", "Type", "Null", "Default", "Meaning"), rows)


def _meaning(catalogue: Catalogue, table: Table, column: Column) -> str:
    """Return the comment of a column, and links to the tables that it refers to."""
    targets = [
        f"→ {_link(catalogue, key.target)}"
        for key in table.foreign_keys
        if column.name in key.naming_columns and column.name != "tenant_id"
    ]
    return " ".join([column.comment or COMMON.get(column.name, ""), *dict.fromkeys(targets)]).strip()


def _default(column: Column) -> str:
    return f"{'always ' if column.generated else ''}{_code(column.default)}"


def _key(constraint: Constraint) -> tuple[str, ...]:
    temporal = "WITHOUT OVERLAPS" in constraint.definition
    period = f"; `{constraint.columns[-1]}` of two rows must not overlap" if temporal else ""
    return f"`{constraint.name}`", KEYS[constraint.kind] + period, _names(constraint.columns)


def _foreign_key(catalogue: Catalogue, key: Constraint) -> tuple[str, ...]:
    rule = key.definition.rpartition(")")[2].strip().lower()
    target = f"{_link(catalogue, key.target)} ({_names(key.target_columns)})"
    return f"`{key.name}`", _names(key.columns), target, rule


def _references(catalogue: Catalogue, table: Table) -> str:
    return "".join(
        f"- {_link(catalogue, other.full_name)} by `{key.name}` ({_names(key.columns)})\n"
        for other, key in catalogue.referring_to(table)
    )


def _check(constraint: Constraint) -> tuple[str, ...]:
    return f"`{constraint.name}`", _code(re.sub(r"^(CHECK|EXCLUDE USING gist) ", "", constraint.definition))


def _triggers(table: Table) -> str:
    rows = []
    for t in table.triggers:
        when = ("" if t.is_enabled else "switched off, ") + ("at commit, " if t.at_commit else "")
        condition = f", if {_code(t.condition)}" if t.condition else ""
        arguments = [f"Arguments: {_names(t.arguments)}."] if t.arguments else []
        rows.append(
            (
                f"`{t.name}`",
                f"{when}{t.event}, each {t.scope}{condition}",
                " ".join([t.comment or "", *arguments]).strip(),
            )
        )
    return markdown_table(("Trigger", "Runs", "Does"), rows)


def _policies(table: Table) -> str:
    if table.is_view:
        return ""
    state = "on, also for the owner" if table.is_protected else "off, or does not apply to the owner"
    rows = [
        (p.name, p.command, _names(p.roles) or "everyone", _code(p.using), _code(p.check))
        for p in table.policies
    ]
    return f"Row-level security is {state}.\n\n" + markdown_table(
        ("Policy", "For", "Who", "Sees", "May write"), rows
    )


def _grants(table: Table) -> str:
    def right(grant: Grant) -> str:
        return grant.right + (f" of {_names(grant.columns)}" if grant.columns else "")

    roles: dict[str, list[str]] = {}
    for grant in table.grants:
        roles.setdefault(grant.role, []).append(right(grant))
    return markdown_table(("Role", "May"), [(f"`{role}`", ", ".join(may)) for role, may in roles.items()])


def index_page(catalogue: Catalogue) -> str:
    """Render the index: the tables of each area with a diagram, the functions to call, the errors."""
    tables = {table.full_name: table for table in catalogue.tables}
    placed = {name for names in AREAS.values() for name in names}
    areas = {**AREAS, UNPLACED: tuple(name for name in tables if name not in placed)}
    parts = [
        "# The schema, table by table\n",
        "From the catalogue of a database at the head of the migrations; explained in "
        "[the OLTP schema](../oltp.md). Foreign keys include `tenant_id`, so that no row refers to a row of "
        "another tenant.\n",
    ]
    for area, names in areas.items():
        here = [tables[name] for name in names if name in tables]
        if not here:
            continue
        rows = [(_link(catalogue, t.full_name), KINDS[t.kind].lower(), t.comment or "") for t in here]
        parts.append(f"## {area}\n\n{markdown_table(('Name', 'Kind', 'Holds'), rows)}")
        parts.append(_diagram(here))
    parts.append("## Functions to call\n\n" + _functions(catalogue))
    errors = [(f"`{e.sqlstate}`", e.message, e.remedy, f"`{e.function}`") for e in catalogue.error_codes()]
    parts.append(
        "## Errors\n\nSQLSTATEs of this schema; … stands for a value.\n\n"
        + markdown_table(("SQLSTATE", "Message", "Remedy", "Function"), errors)
    )
    return "\n".join(part for part in parts if part)


def _functions(catalogue: Catalogue) -> str:
    rows = [
        (f"`{f.name}({f.arguments})`", f"`{f.result}`", f.comment or "", _names(f.executors))
        for f in catalogue.functions
        if f.is_called
    ]
    return markdown_table(("Function", "Returns", "Does", "Roles"), rows)


def _diagram(tables: list[Table]) -> str:
    """Draw the tables of an area with their columns as Mermaid; tables of other areas appear by name only."""
    own = {table.full_name for table in tables}
    relations = [
        f"    {_entity(key.target)} {_cardinality(table, key)} {table.name} : "
        f'"{", ".join(key.naming_columns)}"'
        for table in tables
        for key in table.foreign_keys
        if key.target in own or key.columns != ("tenant_id",)
    ]
    if not relations:
        return ""
    boxes = [line for table in tables if not table.is_view for line in _box(table)]
    return "\n".join(["```mermaid", "erDiagram", *relations, *boxes, "```", ""])


def _box(table: Table) -> list[str]:
    keys = {name: "PK" for c in table.constraints if c.kind == "p" for name in c.columns}
    keys |= {name: "FK" for key in table.foreign_keys for name in key.columns}
    shown = [c for c in table.columns if c.name == "id" or c.name not in COMMON]
    attributes = [f"        {c.type_name.strip('_')} {c.name} {keys.get(c.name, '')}".rstrip() for c in shown]
    return [f"    {table.name} {{", *attributes, "    }"]


def _cardinality(table: Table, key: Constraint) -> str:
    """Return the Mermaid symbol: left, whether a row must refer to one; right, how many may refer to it."""
    nullable = {column.name for column in table.columns if column.nullable}
    unique = any(set(c.columns) == set(key.columns) for c in table.constraints if c.kind in "pu")
    return f"{'|o' if nullable & set(key.columns) else '||'}--{'o|' if unique else 'o{'}"


def _entity(target: str | None) -> str:
    return (target or "").removeprefix("myproperty.").replace(".", "_")


def _link(catalogue: Catalogue, target: str | None) -> str:
    """Link to the page of a table; a table of another schema, such as originfd, has no page."""
    documented = any(table.full_name == target for table in catalogue.tables)
    return f"[`{target}`]({target}.md)" if documented else f"`{target}`"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _code(text: str | None) -> str:
    return f"`{' '.join(text.split())}`" if text else ""
