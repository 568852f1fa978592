"""The entities that are copied from the OLTP to the warehouse: their columns, keys and partitions.

Here: the one description that landing, the raw layer and the gates share, and that of the records of quality,
which the platform counts itself. Not here: copying rows (`land`, `data.raw`), counting (`quality`), or a
reading before it is stored (`data.ingest.schema`).
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from data.ingest.schema import DECIMAL, TIMESTAMP

LANDED_AT = pa.field("landed_at", TIMESTAMP)
READING_DATE = "reading_date"
READINGS = "meter_readings"
ISSUES = "reading_issues"


@dataclass(frozen=True)
class Entity:
    """One table of the OLTP as it is copied to the warehouse.

    `columns` are the columns that source, landing and raw share; ids are copied as text. `key`
    identifies a row. `partition_column` is the date column by which rows are copied, one day at a time, or
    None. A table without it is replaced whole, or, if `is_growing`, only its changed rows are copied.
    `cluster` orders rows inside a partition. `uuids` names the columns that are uuid in PostgreSQL,
    `measures` the columns whose sums are compared between the copies. `source_columns` has the
    SQL of columns that the source stores differently, because a warehouse has no ranges and not always
    arrays: a range is split into its two ends, an array becomes text. `effective` is the stem of the two
    columns for the local dates on which a row holds, set
    where facts of these dates depend on the row. `withheld` are columns that never leave the source: text of
    people, personal or sealed fields, and derived columns.
    """

    name: str
    columns: pa.Schema
    key: tuple[str, ...] = ("tenant_id", "id")
    partition_column: str | None = None
    is_growing: bool = False
    cluster: tuple[str, ...] = ("tenant_id",)
    uuids: frozenset[str] = frozenset()
    measures: tuple[str, ...] = ()
    source_columns: Mapping[str, str] = field(default_factory=dict)
    effective: str | None = None
    withheld: frozenset[str] = frozenset()

    @property
    def is_dated(self) -> bool:
        """Whether the table is copied by date."""
        return self.partition_column is not None

    @property
    def schema(self) -> pa.Schema:
        """The columns of landing and raw: `columns` and the instant of landing."""
        return self.columns.append(LANDED_AT)


_UUID = "uuid"
_TYPES = {
    _UUID: pa.string(),
    "text": pa.string(),
    "integer": pa.int32(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": TIMESTAMP,
    "reading": DECIMAL,
    "kw": pa.decimal128(12, 3),
    "area": pa.decimal128(10, 2),
    "angle": pa.decimal128(5, 2),
    "money": pa.decimal128(14, 2),
    "price": pa.decimal128(14, 6),
    "tax": pa.decimal128(6, 5),
    "share": pa.decimal128(9, 8),
    "confidence": pa.decimal128(5, 4),
    "rate": pa.decimal128(7, 6),
}
_MEASURES = ("reading", "money")


def _entity(
    name: str,
    columns: str,
    *,
    key: tuple[str, ...] = ("tenant_id", "id"),
    partition_column: str | None = None,
    is_growing: bool = False,
    ranges: Mapping[str, str] | None = None,
    lists: tuple[str, ...] = (),
    effective: str | None = None,
    withheld: str = "",
) -> Entity:
    """Build an entity from `column type` pairs, separated by commas.

    The ids are added before these columns, and version, created_at and updated_at after them. `ranges` maps
    the stem of two columns to their range: `{"valid": "valid_during"}` fills valid_from and valid_to. `lists`
    are arrays of shares, copied as text with commas between them.
    """
    listed = (
        f"id uuid, tenant_id uuid, {columns}, version integer, created_at timestamp, updated_at timestamp"
    )
    pairs = [pair.split() for pair in listed.split(",")]
    ends = {
        f"{stem}_{end}": f"{function}({column})"
        for stem, column in (ranges or {}).items()
        for end, function in (("from", "lower"), ("to", "upper"))
    } | {column: f"array_to_string({column}, ',')" for column in lists}
    return Entity(
        name=name,
        columns=pa.schema([pa.field(column, _TYPES[kind]) for column, kind in pairs]),
        key=key,
        partition_column=partition_column,
        is_growing=is_growing,
        uuids=frozenset(column for column, kind in pairs if kind == _UUID),
        measures=tuple(sorted(column for column, kind in pairs if kind in _MEASURES)),
        source_columns=ends,
        effective=effective,
        withheld=frozenset(withheld.split()),
    )


_ALL = (
    _entity("tenants", "name text, region text, status text", withheld="metadata"),
    # In the warehouse a person is an id: name and address stay in the OLTP, and are erased there.
    _entity(
        "users",
        "role text, status text, mfa_enabled boolean",
        withheld="email full_name last_login_at",
    ),
    _entity(
        "properties",
        "name text, timezone text, solar_capacity_kw kw, status text",
        withheld="address utility_account_number metadata",
    ),
    _entity("units", "property_id uuid, label text, floor text, sq_ft area, active boolean"),
    _entity(
        "tenancies",
        "unit_id uuid, user_id uuid, occupied_from date, occupied_to date",
        ranges={"occupied": "occupied_during"},
        effective="occupied",
    ),
    _entity(
        "meters",
        "property_id uuid, type text, make_model text, serial_number text, timezone text, status text",
        # Only validation uses it.
        withheld="rated_kw",
    ),
    _entity(
        "meter_registers",
        "meter_id uuid, identifier text, register text, channel text, unit text, interval_seconds integer",
    ),
    _entity(
        "meter_assignments",
        "meter_id uuid, unit_id uuid, assigned_from date, assigned_to date",
        ranges={"assigned": "assigned_during"},
        effective="assigned",
    ),
    _entity(
        "solar_assets",
        "property_id uuid, meter_id uuid, kind text, make_model text, capacity_kw kw, tilt_degrees angle, "
        "azimuth_degrees angle, in_service_from date, in_service_to date, capital_cost money, "
        "yearly_cost money, currency text, status text",
        ranges={"in_service": "in_service_during"},
        effective="in_service",
        withheld="serial_number",
    ),
    _entity(
        "solar_appraisals",
        "property_id uuid, first_year_kwh reading, price_per_kwh price, capital_cost money, "
        "yearly_cost money, incentives money, currency text, degradation_rate rate, price_growth_rate rate, "
        "cost_growth_rate rate, discount_rate rate, lifetime_years integer, valid_from date, valid_to date, "
        "export_share share, export_price_per_kwh price, tax_rate tax, replacement_cost money, "
        "replacement_year integer, monthly_shares text",
        ranges={"valid": "valid_during"},
        lists=("monthly_shares",),
    ),
    _entity("providers", "name text, kind text, region text, status text"),
    _entity("rate_plans", "provider_id uuid, name text, currency text, status text"),
    _entity(
        "rate_plan_bands",
        "rate_plan_id uuid, charge text, band text, day_kind text, minutes_from integer, minutes_to integer, "
        "unit_amount price, tax_rate tax, valid_from date, valid_to date",
        ranges={"minutes": "minutes_of_day", "valid": "valid_during"},
        effective="valid",
    ),
    _entity(
        "rate_plan_assignments",
        "unit_id uuid, rate_plan_id uuid, assigned_from date, assigned_to date",
        ranges={"assigned": "assigned_during"},
        effective="assigned",
    ),
    _entity(
        "feed_in_assignments",
        "property_id uuid, rate_plan_id uuid, assigned_from date, assigned_to date",
        ranges={"assigned": "assigned_during"},
        effective="assigned",
    ),
    _entity(
        "emission_factor_regions",
        "property_id uuid, region text, valid_from date, valid_to date",
        ranges={"valid": "valid_during"},
        effective="valid",
    ),
    _entity(
        "allocation_methods",
        "property_id uuid, method text, valid_from date, valid_to date",
        ranges={"valid": "valid_during"},
        effective="valid",
    ),
    _entity(
        "allocation_keys",
        "property_id uuid, unit_id uuid, share share, valid_from date, valid_to date",
        ranges={"valid": "valid_during"},
        effective="valid",
        withheld="participant_id",
    ),
    _entity(
        "allocation_periods",
        "property_id uuid, period_from date, period_to date, allocation_method text, generation_kwh reading, "
        "import_kwh reading, export_kwh reading, consumption_kwh reading, surplus_kwh reading, "
        "loss_kwh reading",
        ranges={"period": "billing_period"},
    ),
    _entity(
        "allocation_ledger",
        "property_id uuid, allocation_period_id uuid, unit_id uuid, tenancy_id uuid, period_from date, "
        "period_to date, solar_kwh reading, grid_kwh reading, loss_kwh reading, allocation_method text, "
        "confidence confidence, adjusted_by uuid, adjusted_at timestamp",
        ranges={"period": "billing_period"},
        is_growing=True,
        withheld="participant_id period_start_date notes",
    ),
    _entity(
        "allocation_adjustments",
        "allocation_id uuid, solar_kwh_before reading, solar_kwh_after reading, grid_kwh_before reading, "
        "grid_kwh_after reading, loss_kwh_before reading, loss_kwh_after reading, adjusted_by uuid, "
        "adjusted_at timestamp",
        is_growing=True,
        withheld="reason",
    ),
    _entity(
        "invoices",
        "number text, tenant_user_id uuid, tenancy_id uuid, period_from date, period_to date, status text, "
        "total_amount money, currency text, issued_at timestamp, due_at timestamp",
        ranges={"period": "billing_period"},
        is_growing=True,
        withheld="period_start_date metadata",
    ),
    _entity(
        "invoice_lines",
        "invoice_id uuid, line_number integer, category text, quantity reading, unit_amount price, "
        "tax_rate tax, total_amount money, solar_band text, allocation_id uuid, rate_plan_band_id uuid",
        is_growing=True,
        withheld="description",
    ),
    _entity(
        "payments",
        "invoice_id uuid, amount money, currency text, method text, status text, received_at timestamp",
        is_growing=True,
        withheld="reference",
    ),
    _entity(
        "ledger_entries",
        "entry_date date, debit_account text, credit_account text, amount money, currency text, "
        "reference_type text, reference_id uuid, reverses_id uuid",
        is_growing=True,
        withheld="description",
    ),
    _entity("ledger_accounts", "code text, name text, kind text, status text"),
    _entity(
        "service_tickets",
        "property_id uuid, unit_id uuid, opened_by uuid, status text, priority text, category text, "
        "sla_target_at timestamp, opened_at timestamp, resolved_at timestamp",
        withheld="summary description attachments search",
    ),
    _entity(
        "ticket_quotes",
        "ticket_id uuid, provider_id uuid, amount money, currency text, status text, quoted_at timestamp, "
        "valid_until date",
    ),
    _entity(
        "ticket_schedules",
        "ticket_id uuid, provider_id uuid, scheduled_from timestamp, scheduled_to timestamp, status text",
        ranges={"scheduled": "scheduled_during"},
    ),
    _entity(
        "ticket_activities",
        "ticket_id uuid, kind text, user_id uuid, agent_id text, occurred_at timestamp",
        is_growing=True,
        withheld="body details",
    ),
    _entity(
        "compliance_rule_states",
        "property_id uuid, rule_code text, state text, evaluated_at timestamp, due_on date",
        withheld="evidence",
    ),
    _entity(
        "project_links",
        "property_id uuid, originfd_project_id uuid, project_type text, status text, target_live_date date",
        withheld="scope_summary sync_payload",
    ),
    # Neither the input nor a hash of it: a hash of a short input can be found by trying.
    _entity(
        "agent_messages",
        "session_id uuid, sequence integer, agent_id text, user_id uuid, role text, sent_at timestamp",
        is_growing=True,
        withheld="content",
    ),
    _entity(
        "agent_audit",
        "session_id uuid, agent_id text, tool_name text, outcome text, latency_ms integer, trace_id text, "
        "performed_by_user_id uuid, occurred_at timestamp",
        is_growing=True,
        withheld="input_hash payload",
    ),
    _entity(
        READINGS,
        "meter_id uuid, channel text, reading_ts timestamp, reading_date date, interval_seconds integer, "
        "value_native reading, unit text, value_kwh reading, quality text, quality_method text, "
        "reason_code text, is_estimated boolean, source text, source_version timestamp, "
        "ingestion_job_id uuid",
        key=("tenant_id", "meter_id", "channel", "reading_ts", READING_DATE),
        partition_column=READING_DATE,
    ),
    _entity(
        ISSUES,
        "property_id uuid, meter_id uuid, channel text, reading_date date, rule text, severity text, "
        "status text, accepted_until date",
        partition_column=READING_DATE,
        withheld="first_reading_ts last_reading_ts details resolved_by resolved_at resolution_note "
        "accepted_by accepted_at acceptance_reason changed_at",
    ),
    _entity(
        "solar_reference_yields",
        "solar_asset_id uuid, reading_ts timestamp, reading_date date, interval_seconds integer, "
        "irradiation_kwh_per_m2 reading, expected_kwh reading, method text, method_version text",
        key=("tenant_id", "solar_asset_id", "reading_ts"),
        partition_column=READING_DATE,
    ),
)

ENTITIES: dict[str, Entity] = {entity.name: entity for entity in _ALL}

QUALITY_DAYS = "quality_days"
QUALITY_RUNS = "quality_runs"


def _record(name: str, columns: str, *, key: tuple[str, ...], measures: tuple[str, ...]) -> Entity:
    """Build a record of quality: it has no source, and `data.landing.quality` writes its landing table."""
    pairs = [pair.split() for pair in columns.split(",")]
    return Entity(
        name=name,
        columns=pa.schema([pa.field(column, _TYPES[kind]) for column, kind in pairs]),
        key=key,
        is_growing=True,
        cluster=key[:1],
        uuids=frozenset(column for column, kind in pairs if kind == _UUID),
        measures=measures,
    )


_RECORDS = (
    _record(
        QUALITY_DAYS,
        "tenant_id uuid, tenant_name text, reading_date date, readings integer, estimated_readings integer, "
        "energy_kwh reading, open_infos integer, open_issues integer, open_severe_issues integer, "
        "accepted_issues integer, quarantined_readings integer, open_quarantined_readings integer, "
        "files integer, refused_files integer, first_loaded_at timestamp, silent_formats integer, "
        "publication text",
        key=("tenant_id", READING_DATE),
        measures=("energy_kwh",),
    ),
    # Without a tenant: a run concerns all of them.
    _record(
        QUALITY_RUNS,
        "run_id text, job text, launcher text, reading_date_from date, reading_date_to date, status text, "
        "requested_at timestamp, started_at timestamp, ended_at timestamp, retries integer, steps integer, "
        "slowest_step text, slowest_step_seconds reading, step_seconds text, gates_passed integer, "
        "gates_warned integer, gates_failed integer, broken_rules text, judged_rows reading, "
        "gate_seconds reading",
        key=("run_id",),
        measures=("judged_rows",),
    ),
)
RECORDS: dict[str, Entity] = {entity.name: entity for entity in _RECORDS}
# The tables of raw.
LOADED: dict[str, Entity] = ENTITIES | RECORDS


def find_dated_entity(name: str, dates: Sequence[datetime.date] | None) -> Entity:
    """Return the entity of rows of these reading dates, None for all rows; raises as `find_entity` does."""
    first = min(dates) if dates else None
    return find_entity(name, first, first and first + datetime.timedelta(days=1))[0]


def find_entity(
    name: str, start: datetime.date | None, end: datetime.date | None
) -> tuple[Entity, list[datetime.date] | None]:
    """Return the entity and the reading dates of [start, end), None for an entity without dates.

    Raises ValueError for an unknown entity, or for dates that are missing or not allowed.
    """
    if name not in LOADED:
        raise ValueError(f"unknown entity {name!r}: one of {', '.join(LOADED)}")
    entity = LOADED[name]
    if entity.partition_column is None:
        if start is not None or end is not None:
            raise ValueError(f"{name} has no dates: it is landed whole")
        return entity, None
    if start is None or end is None:
        raise ValueError(f"{name} is landed by reading date: give start and end")
    return entity, [start + datetime.timedelta(days=day) for day in range((end - start).days)]
