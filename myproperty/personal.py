"""The map of personal data: every personal field, how it is protected, and until when a copy can stay.

Here: plain data, one line for each field and store. Not here: erasing (`myproperty.sealing`), copying to the
warehouse (`data.landing.entities`), or the page (`docs/personal_data.py`). A test compares this map with the
catalogue of the database and with the columns of the warehouse: a new text column must be listed here, as
personal or as free of personal data.
"""

from dataclasses import dataclass
from enum import StrEnum


class Protection(StrEnum):
    """What happens to a field when its person is erased. The values are the words of the column comments."""

    SEALED = "sealed with the key of the person"
    CLEARED = "cleared when the person is erased"
    MENTIONS = "cleared where it names an erased person"
    BOOKS = "kept with the books"


@dataclass(frozen=True)
class PersonalField:
    """A column `schema.table.column` of the OLTP database that holds personal data."""

    column: str
    kind: str
    protection: Protection

    @property
    def tag(self) -> str:
        """The end of the comment of the column."""
        return f"Personal ({self.kind}): {self.protection}."


def _fields(protection: Protection, kind: str, columns: str) -> tuple[PersonalField, ...]:
    return tuple(PersonalField(column, kind, protection) for column in columns.split())


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FREE_TEXT, _METADATA = "free text", "metadata"

FIELDS: tuple[PersonalField, ...] = (
    *_fields(Protection.SEALED, "name", "myproperty.users.full_name"),
    *_fields(Protection.SEALED, "address or phone", "myproperty.notification_preferences.destination"),
    *_fields(Protection.SEALED, _FREE_TEXT, "myproperty.agent_messages.content"),
    *_fields(Protection.SEALED, _FREE_TEXT, "myproperty.agent_audit.payload"),
    *_fields(Protection.CLEARED, "e-mail", "myproperty.users.email"),
    *_fields(Protection.CLEARED, "hash of a text", "myproperty.agent_audit.input_hash"),
    # Of residents; elsewhere where they name the person.
    *_fields(
        Protection.CLEARED,
        _FREE_TEXT,
        """
        myproperty.service_tickets.summary myproperty.service_tickets.description
        myproperty.service_tickets.search myproperty.ticket_activities.body
        myproperty.allocation_ledger.notes myproperty.allocation_adjustments.reason
        """,
    ),
    *_fields(
        Protection.CLEARED,
        _METADATA,
        """
        myproperty.service_tickets.attachments myproperty.ticket_activities.details
        myproperty.invoices.metadata audit.invoices_history.metadata
        """,
    ),
    *_fields(
        Protection.MENTIONS,
        _METADATA,
        """
        myproperty.tenants.metadata myproperty.properties.metadata myproperty.project_links.sync_payload
        myproperty.compliance_rule_states.evidence
        """,
    ),
    *_fields(Protection.MENTIONS, "address", "myproperty.properties.address"),
    *_fields(Protection.MENTIONS, "account number", "myproperty.properties.utility_account_number"),
    *_fields(
        Protection.MENTIONS,
        _FREE_TEXT,
        """
        myproperty.project_links.scope_summary myproperty.adjustment_tasks.reason
        myproperty.reading_issues.resolution_note myproperty.reading_issues.acceptance_reason
        warehouse_staging.invalid_files.message warehouse_staging.quarantined_readings.reason
        warehouse_staging.quarantined_readings.raw_text
        warehouse_staging.quarantined_readings.resolution_note
        """,
    ),
    *_fields(
        Protection.MENTIONS,
        "name",
        """
        myproperty.reading_issues.resolved_by myproperty.reading_issues.accepted_by
        warehouse_staging.quarantined_readings.resolved_by
        """,
    ),
    *_fields(
        Protection.MENTIONS,
        "name of a file",
        """
        myproperty.ingestion_jobs.source_uri warehouse_staging.invalid_files.source_uri
        warehouse_staging.quarantined_readings.source_uri
        """,
    ),
    # The law on bookkeeping asks for them; none is copied to the warehouse or to the audit trail.
    *_fields(
        Protection.BOOKS,
        _FREE_TEXT,
        """
        myproperty.invoice_lines.description myproperty.payments.reference
        myproperty.ledger_entries.description audit.ledger_entries_history.description
        """,
    ),
)

# Of these tables all texts are searched for the names of an erased person, unless the person is staff.
OF_RESIDENTS = frozenset({"myproperty.service_tickets", "myproperty.ticket_activities"})
# Derived from other columns, or no text that could hold a name.
_NOT_SEARCHED = frozenset(
    {"myproperty.service_tickets.search", "myproperty.users.email", "myproperty.agent_audit.input_hash"}
)
DOCUMENTS = frozenset(
    field.column for field in FIELDS if field.kind == _METADATA or field.column.endswith(".address")
)


def searched_columns() -> list[str]:
    """Return the columns that are searched for the names of an erased person."""
    kinds = (Protection.CLEARED, Protection.MENTIONS)
    return [f.column for f in FIELDS if f.protection in kinds and f.column not in _NOT_SEARCHED]


# Ids of people and of their tenancies: the only personal data that is copied to the warehouse. The columns
# are those of the copied tables; each has the tag `personal: pseudonym` in every model that shows it.
PSEUDONYMS = _names(
    """
    users.id tenancies.id tenancies.user_id allocation_ledger.tenancy_id allocation_ledger.adjusted_by
    allocation_adjustments.adjusted_by invoices.tenant_user_id invoices.tenancy_id service_tickets.opened_by
    ticket_activities.user_id agent_messages.user_id agent_audit.performed_by_user_id
    """
)

# Text columns without personal data, by reason. `*.name` is that column of every table.
FREE: dict[str, str] = {
    "a word of a list, or of a form, that a check of the database holds": """
        *.status *.kind *.type *.channel *.quality *.currency *.timezone *.priority *.category
        *.reference_type *.allocation_method *.severity *.day_kind *.charge
        myproperty.users.role myproperty.tenants.region myproperty.providers.region
        myproperty.agent_messages.role
        myproperty.agent_audit.outcome myproperty.agent_audit.trace_id
        myproperty.allocation_methods.method myproperty.compliance_rule_states.state
        myproperty.ingestion_jobs.content_hash
        myproperty.notification_preferences.topic myproperty.payments.method
        myproperty.project_links.project_type
        warehouse_staging.quality_days.publication audit.logged_actions.action
    """,
    "the name that the company gives to a thing": """
        myproperty.tenants.name myproperty.properties.name myproperty.units.label myproperty.units.floor
        myproperty.providers.name myproperty.rate_plans.name myproperty.rate_plan_bands.band
        myproperty.ledger_accounts.name myproperty.ledger_accounts.code
        myproperty.invoice_lines.solar_band myproperty.compliance_rule_states.rule_code
        myproperty.emission_factor_regions.region originfd.projects.name
        warehouse_staging.quality_days.tenant_name
    """,
    "the code of an account": "*.debit_account *.credit_account",
    "names and numbers of devices and series": """
        *.make_model *.serial_number *.identifier *.register *.unit *.quality_method *.reason_code
    """,
    "the number of a document": "myproperty.invoices.number audit.invoices_history.number",
    "names of formats, rules and models of this program": """
        myproperty.ingestion_jobs.format *.rule myproperty.meter_readings.source
        myproperty.meter_reading_versions.source myproperty.solar_reference_yields.method
        myproperty.solar_reference_yields.method_version myproperty.vee_thresholds.meter_type
        myproperty.vee_thresholds.applies_to warehouse_staging.invalid_files.format
        warehouse_staging.invalid_files.remedy warehouse_staging.invalid_files.content_hash
        warehouse_staging.archived_dates.url warehouse_staging.withdrawn_dates.reason
        warehouse_staging.gate_results.gate
    """,
    "figures by name": """
        myproperty.vee_thresholds.parameters myproperty.reading_issues.details
        myproperty.ingestion_jobs.mapping myproperty.solar_appraisals.monthly_shares
    """,
    "names of programs": "*.agent_id myproperty.agent_audit.tool_name",
    "runs, steps and broken rules; samples have ids and dates": """
        warehouse_staging.gate_results.table_name warehouse_staging.gate_results.run_id
        warehouse_staging.gate_results.failed warehouse_staging.gate_results.results
        warehouse_staging.landed_sources.entity warehouse_staging.landed_sources.sums
        warehouse_staging.left_out_tenants.run_id warehouse_staging.left_out_tenants.failed_run_id
        warehouse_staging.published_dates.run_id warehouse_staging.pipeline_runs.run_id
        warehouse_staging.pipeline_runs.job warehouse_staging.pipeline_runs.seconds
        warehouse_staging.pipeline_runs.reasons warehouse_staging.quality_runs.run_id
        warehouse_staging.quality_runs.job warehouse_staging.quality_runs.launcher
        warehouse_staging.quality_runs.slowest_step warehouse_staging.quality_runs.step_seconds
        warehouse_staging.quality_runs.broken_rules
    """,
    "the login of an operator, for the record of who ran what": """
        warehouse_staging.pipeline_runs.launched_by audit.logged_actions.role_name
        audit.logged_actions.login_name audit.logged_actions.application_name
    """,
    "which row changed; personal columns are logged as (personal), sealed ones sealed": """
        audit.logged_actions.schema_name audit.logged_actions.table_name audit.logged_actions.row_key
        audit.logged_actions.row_id audit.logged_actions.old_values audit.logged_actions.new_values
    """,
    "a reason that by order names nobody": "myproperty.data_keys.destroyed_because",
    "rows and paths of erased texts": "myproperty.data_keys.erased_texts",
}


@dataclass(frozen=True)
class PersonalStore:
    """A place outside the tables that can keep personal data for a time."""

    name: str
    holds: str
    until: str
    remedy: str


STORES: tuple[PersonalStore, ...] = (
    PersonalStore(
        "Pages of tables and indexes, statistics of the planner",
        "the former texts, until the tables are written anew",
        "the end of `keys erase`, which runs `vacuum full` and `analyze`; longer if it reports a table",
        "run the command again when the table is less busy",
    ),
    PersonalStore(
        "Write-ahead log of PostgreSQL (`pg_wal`)",
        "the former texts, as they were written and as pages",
        "about twice `max_wal_size` (2 GB) more has been written: `keys erase` names the position",
        "nothing to do; a busy database is there within the day",
    ),
    PersonalStore(
        "Base backups and archived write-ahead log, snapshots of disks",
        "everything in clear text as it was before",
        "`MYPROPERTY_BACKUPS_KEPT` newer backups are there (7: a week of nights); on other servers, your "
        "retention ends",
        "`myproperty keys replay` after each restore, before anyone uses the database",
    ),
    PersonalStore(
        "Log of the PostgreSQL server (`logs/postgres.log`)",
        "an error message may quote one value; statements and details of rows are not logged",
        "the log is turned over: 50 MB on the embedded engine, your retention elsewhere",
        "on a server of your own set `log_error_verbosity = terse`, `log_min_error_statement = panic` and "
        "`log_statement = none`",
    ),
    PersonalStore(
        "Meter files in inbox and archive",
        "what the sender wrote: some formats have room for a customer's name; names of files",
        "you delete the file, or the retention of the bucket ends",
        "`keys erase` names files that name the person: delete them, and ask the sender to leave names out",
    ),
    PersonalStore(
        "Archived readings (Parquet)",
        "readings under ids of meters: no text of people",
        "you delete the file",
        "none needed",
    ),
    PersonalStore(
        "Storage of Dagster: runs, event logs, logs of steps",
        "counts, ids and dates; the text of an error may quote a row of a copied table, which has no text of "
        "people",
        "ticks 2 to 90 days; runs and events until they are deleted in Dagster",
        "none needed",
    ),
    PersonalStore(
        "Verdicts of gates, Data Docs, alerts",
        "ids and dates of examples, names of tenants, properties and meters",
        "alerts: 30 days after they were sent; verdicts and pages: for good",
        "none needed",
    ),
    PersonalStore(
        "Logs of the command and of the code location",
        "ids; an error may quote what a person typed",
        "your retention of logs",
        "keep them as the database is kept",
    ),
    PersonalStore(
        "The history of your shell",
        "the e-mail address and words given to `keys erase`",
        "you clear it",
        "give the id instead of the address",
    ),
    PersonalStore(
        "Copies that left the platform: exports, sent e-mails, printed invoices",
        "what was exported",
        "who received them erases them",
        "tell the receivers",
    ),
)
