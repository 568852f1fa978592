"""The rights of each role on each table, and views of the catalogue that show only this schema."""

from dataclasses import dataclass, replace
from typing import LiteralString

from data.landing.entities import ENTITIES


@dataclass(frozen=True)
class May:
    """Rights by role: s(elect), i(nsert), u(pdate), d(elete). The owner may do all with its objects."""

    app: str = ""
    readonly: str = "s"
    auditor: str = ""
    loader: str = ""
    etl: str = "s"
    owner: str = "siud"
    originfd: str = ""
    guardian: str = ""
    partitioner: str = ""
    operator: str = ""
    registrar: str = ""
    maintainer: str = ""
    biller: str = ""
    checker: str | None = None  # None: reads what the pipeline reads
    is_append_only: bool = False

    def actions(self, role: str) -> str:
        """Return the rights of the role with this full name."""
        allowed: str | None = getattr(self, role.removeprefix("myproperty_"))
        return allowed if allowed is not None else "s" if "s" in self.etl else ""


# The application deletes only rows without a status that no bill and no message refers to.
MAY = {
    "myproperty.tenants": May(app="su", auditor="s", loader="s", operator="s", registrar="siu", guardian="s"),
    "myproperty.properties": May(app="siu", loader="s", guardian="su", biller="s"),
    "myproperty.units": May(app="siu", loader="s", biller="s"),
    "myproperty.meters": May(app="siu", loader="si", partitioner="su", biller="s"),
    "myproperty.meter_registers": May(app="siud", loader="si", biller="s"),
    "myproperty.meter_assignments": May(app="siud", loader="s", biller="s"),
    "myproperty.solar_assets": May(app="siu", loader="s"),
    "myproperty.solar_reference_yields": May(app="s", auditor="s", etl="siud"),
    "myproperty.solar_appraisals": May(app="siud", auditor="s"),
    "myproperty.ingestion_jobs": May(app="s", auditor="s", loader="siu", partitioner="su", guardian="s"),
    "myproperty.ingestion_job_dates": May(app="s", auditor="s", loader="siu", partitioner="s"),
    "myproperty.meter_readings": May(app="s", loader="siu", guardian="s", partitioner="siud", biller="s"),
    "myproperty.meter_reading_versions": May(
        app="s", auditor="s", loader="si", partitioner="si", is_append_only=True
    ),
    "myproperty.vee_thresholds": May(app="siud", auditor="s", loader="s"),
    "myproperty.register_reads": May(app="siud", auditor="s", loader="siu"),
    "myproperty.reading_issues": May(app="su", auditor="s", loader="siu", guardian="s", biller="s"),
    "myproperty.validated_dates": May(app="s", auditor="s", loader="siu"),
    "myproperty.reading_totals": May(app="s", auditor="s", loader="sid", etl=""),
    "myproperty.users": May(app="siu", guardian="s", biller="s"),
    "myproperty.data_keys": May(app="siu", auditor="s", operator="s"),
    "myproperty.notification_preferences": May(app="siud"),
    "myproperty.tenancies": May(app="siud", guardian="s", biller="s"),
    "myproperty.providers": May(app="siu"),
    "myproperty.rate_plans": May(app="siu", biller="s"),
    "myproperty.rate_plan_bands": May(app="siud", auditor="s", guardian="s", biller="s"),
    "myproperty.rate_plan_assignments": May(app="siud", biller="s"),
    "myproperty.feed_in_assignments": May(app="siud"),
    "myproperty.emission_factor_regions": May(app="siud"),
    "myproperty.allocation_methods": May(app="siud", biller="s"),
    "myproperty.allocation_keys": May(app="siud", guardian="s", biller="s"),
    "myproperty.allocation_periods": May(app="siu", auditor="s", loader="s", guardian="s", biller="siu"),
    "myproperty.allocation_ledger": May(app="siu", auditor="s", guardian="s", biller="siu"),
    "myproperty.allocation_adjustments": May(app="s", auditor="s", guardian="si", is_append_only=True),
    "myproperty.adjustment_tasks": May(
        app="su", auditor="s", loader="siu", operator="s", guardian="s", biller="su"
    ),
    "myproperty.adjustment_task_readings": May(
        app="s", auditor="s", loader="si", biller="s", is_append_only=True
    ),
    "myproperty.invoices": May(app="siu", auditor="s", guardian="su", biller="siu"),
    "myproperty.invoice_lines": May(app="siud", auditor="s", guardian="s", biller="sid"),
    "myproperty.payments": May(app="siu", auditor="s", guardian="s", biller="siu"),
    "myproperty.ledger_accounts": May(app="siu", auditor="s", guardian="s", biller="si"),
    "myproperty.ledger_entries": May(app="si", auditor="s", guardian="s", biller="si", is_append_only=True),
    "myproperty.project_links": May(app="siu", guardian="s"),
    "myproperty.compliance_rule_states": May(app="siu", guardian="s"),
    "myproperty.service_tickets": May(app="siu", guardian="s"),
    "myproperty.ticket_quotes": May(app="siu"),
    "myproperty.ticket_schedules": May(app="siu"),
    "myproperty.ticket_activities": May(app="si", guardian="s", is_append_only=True),
    "myproperty.agent_messages": May(app="si", is_append_only=True),
    "myproperty.agent_audit": May(app="si", auditor="s", guardian="s", is_append_only=True),
    "originfd.projects": May(app="s", owner="", originfd="siud"),
    "audit.logged_actions": May(
        checker="", readonly="", auditor="s", etl="", owner="", guardian="siud", is_append_only=True
    ),
    "audit.invoices_history": May(checker="", app="s", auditor="s", owner="", guardian="siud"),
    "audit.ledger_entries_history": May(checker="", app="s", auditor="s", owner="", guardian="siud"),
    "warehouse_staging.invalid_files": May(app="s", auditor="s", loader="si", guardian="s"),
    "warehouse_staging.quarantined_readings": May(app="su", auditor="s", loader="siu", guardian="s"),
    **{
        f"warehouse_staging.{name}": May(readonly="", etl="siud")
        for name, entity in ENTITIES.items()
        if not entity.is_dated
    },
    "warehouse_staging.meter_readings": May(readonly="", etl="siud", partitioner="siud"),
    "warehouse_staging.solar_reference_yields": May(readonly="", etl="siud"),
    "warehouse_staging.reading_issues": May(readonly="", etl="siud"),
    "warehouse_staging.quality_days": May(readonly="", etl="siud"),
    "warehouse_staging.quality_runs": May(readonly="", etl="siu"),
    "warehouse_staging.archived_dates": May(readonly="", loader="s", partitioner="sid"),
    "warehouse_staging.published_dates": May(readonly="", etl="siud", partitioner="s"),
    "warehouse_staging.landed_sources": May(readonly="", etl="sid"),
    "warehouse_staging.withdrawn_dates": May(readonly="", etl="sid"),
    "warehouse_staging.left_out_tenants": May(readonly="", etl="sid", partitioner="s"),
    "warehouse_staging.gate_results": May(readonly="", checker="si"),
    "warehouse_staging.pipeline_runs": May(readonly="", etl="siu"),
}
# Records of the pipeline itself, visible only to its role.
WITHOUT_TENANT = (
    "warehouse_staging.archived_dates",
    "warehouse_staging.gate_results",
    "warehouse_staging.landed_sources",
    "warehouse_staging.left_out_tenants",
    "warehouse_staging.pipeline_runs",
    "warehouse_staging.published_dates",
    "warehouse_staging.quality_runs",
    "warehouse_staging.withdrawn_dates",
)
# Granted to nobody; the owner has the rights through the partitioner. Changes that name a partition of
# readings are refused, because the trail would not see them.
PARTITION = May(readonly="", etl="", partitioner="siud")
PARTITIONS = {
    "myproperty.meter_readings": replace(PARTITION, is_append_only=True),
    "warehouse_staging.meter_readings": PARTITION,
}

# The functions that each role may execute with the rights of another role.
DEFINER_FUNCTIONS = {
    "myproperty_app": {
        "audit.erase_texts(uuid[],jsonb)",
        "myproperty.search_service_tickets(text,integer)",
    },
    "myproperty_readonly": {"myproperty.search_service_tickets(text,integer)"},
    "myproperty_auditor": set(),
    "myproperty_biller": set(),
    "myproperty_loader": {
        "myproperty.begin_readings_partition(date,uuid,uuid)",
        "myproperty.attach_readings_partition(date)",
        "myproperty.ensure_readings_partition(date)",
        "myproperty.ensure_readings_partitions(date,date)",
        "myproperty.begin_readings_archive(date,boolean)",
        "myproperty.drop_readings_partition(date,bigint,text,bigint,boolean)",
        "myproperty.begin_readings_restore(date)",
        "myproperty.attach_restored_readings(date)",
        "myproperty.lock_ledger()",
        "myproperty.begin_readings_merge()",
        "myproperty.merge_readings(uuid,date[])",
        "myproperty.index_readings_partition(date)",
    },
    "myproperty_etl": {"warehouse_staging.ensure_readings_partition(date)"},
    "originfd": set(),
    "public": set(),
}

# The catalogue without the objects of PostgreSQL, Alembic and the extensions.
CATALOGUE: LiteralString = """
    create temporary view own_relations as
    select c.*, c.oid::regclass::text as name, c.relnamespace::regnamespace::text as schema
    from pg_class c
    where c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
      and c.oid is distinct from to_regclass('public.alembic_version')
      and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e');
    create temporary view own_tables as select * from own_relations where relkind in ('r', 'p', 'f', 'm');
    create temporary view own_foreign_keys as
    select f.*, f.conrelid::regclass::text as name
    from pg_constraint f join own_tables t on t.oid = f.conrelid
    where f.contype = 'f';
    create temporary view own_functions as
    select p.*, p.oid::regprocedure::text as name
    from pg_proc p
    where p.pronamespace::regnamespace::text !~ '^(pg_|information_schema)'
      and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e');
    create temporary view own_definer_functions as select * from own_functions where prosecdef
"""

TABLES: LiteralString = "select name, relispartition from own_tables order by name"
READINGS = "myproperty.meter_readings"
