"""The database roles and logins: their names, and what each is for.

A role has rights. A login is what a job connects as: it has none of its own, takes a role on with `set local
role`, and after `reset role` can do nothing. Here: names for Python code. `oltp_schema.roles` creates both,
and the migrations grant the roles their rights; a test compares every role that they name with this module.
"""

from dataclasses import dataclass, field

OWNER_ROLE = "myproperty_owner"
PARTITIONER_ROLE = "myproperty_partitioner"
GUARDIAN_ROLE = "myproperty_guardian"
ORIGINFD_ROLE = "originfd"
APP_ROLE = "myproperty_app"
LOADER_ROLE = "myproperty_loader"
ETL_ROLE = "myproperty_etl"
READONLY_ROLE = "myproperty_readonly"
AUDITOR_ROLE = "myproperty_auditor"
CHECKER_ROLE = "myproperty_checker"
OPERATOR_ROLE = "myproperty_operator"
REGISTRAR_ROLE = "myproperty_registrar"
MAINTAINER_ROLE = "myproperty_maintainer"
BILLER_ROLE = "myproperty_biller"


@dataclass(frozen=True)
class Role:
    """One role: its name, whether it bypasses row-level security, and what it is for."""

    name: str
    bypasses_rls: bool
    purpose: str


ROLES = (
    Role(OWNER_ROLE, False, "owns the schemas and every table except the partitioned ones"),
    Role(PARTITIONER_ROLE, True, "owns the partitioned tables and the functions that fill partitions"),
    Role(
        GUARDIAN_ROLE,
        True,
        "owns the audit trail, the history, the checks at commit and the search, which read every tenant",
    ),
    Role(ORIGINFD_ROLE, False, "owns the schema originfd, which belongs to another system"),
    Role(APP_ROLE, False, "runs the application, one tenant at a time"),
    Role(LOADER_ROLE, True, "loads files: readings, ledger and quarantine of the registered tenant"),
    Role(ETL_ROLE, True, "reads the OLTP tables of every tenant, writes the landing tables"),
    Role(READONLY_ROLE, False, "reads one tenant at a time"),
    Role(AUDITOR_ROLE, False, "reads the trail of loads and replaced readings, one tenant at a time"),
    Role(CHECKER_ROLE, True, "reads what the gates judge, of every tenant, and adds verdicts"),
    Role(OPERATOR_ROLE, True, "finds the tenant that a command names, and lists the keys of tenants"),
    Role(REGISTRAR_ROLE, False, "adds tenants"),
    Role(MAINTAINER_ROLE, False, "writes tables anew after an erasure, and reads none"),
    Role(BILLER_ROLE, False, "bills a tenant: reads its readings and prices, writes its books"),
)
# A migration acts as each of these: they own the objects.
OWNERS = ROLES[:4]


@dataclass(frozen=True)
class Login:
    """What a job connects as: its purpose, the roles that it may take on, and the limits of its sessions.

    `setting` is the field of the settings that has its DSN where the server is not the embedded one; None if
    no part of the platform connects as it. `account` is the field that has its service account on BigQuery.
    """

    name: str
    purpose: str
    setting: str | None
    roles: tuple[str, ...] = ()
    limits: dict[str, str] = field(default_factory=dict, hash=False)
    account: str | None = None


# A session that waits for a lock holds up those behind it; one that was left open keeps its locks.
_JOB_LIMITS = {
    "lock_timeout": "10min",
    "idle_in_transaction_session_timeout": "30min",
    "temp_file_limit": "20GB",
}
# Sums and joins of a day of many meters are made in memory.
_SUMMING_LIMITS = _JOB_LIMITS | {"work_mem": "64MB"}
READER_LIMITS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "60s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
    "idle_session_timeout": "5min",
    "temp_file_limit": "1GB",
    "work_mem": "32MB",
}
INGEST = Login(
    "myproperty_ingest",
    "takes in files, validates readings, mends the quarantine, makes and archives partitions",
    "ingest_dsn",
    (LOADER_ROLE, OPERATOR_ROLE),
    _JOB_LIMITS,
)
PIPELINE = Login(
    "myproperty_pipeline",
    "lands tables, records runs and published dates, says what is pending, sends alerts",
    "pipeline_dsn",
    (ETL_ROLE,),
    _SUMMING_LIMITS,
)
GATES = Login(
    "myproperty_gates", "judges a stage and keeps the verdict", "gates_dsn", (CHECKER_ROLE,), _SUMMING_LIMITS
)
BILLING = Login(
    "myproperty_billing", "bills a tenant", "billing_dsn", (BILLER_ROLE, OPERATOR_ROLE), _JOB_LIMITS
)
KEYS = Login(
    "myproperty_keys",
    "lists and rotates keys, and erases people and tenants",
    "keys_dsn",
    (APP_ROLE, OPERATOR_ROLE, MAINTAINER_ROLE),
    _JOB_LIMITS,
)
DEMO = Login(
    "myproperty_demo",
    "writes the invented company: tenants, their rows, and projects of the other system",
    "demo_dsn",
    (APP_ROLE, OPERATOR_ROLE, REGISTRAR_ROLE, ORIGINFD_ROLE),
    _JOB_LIMITS,
)
OLTP_LOGINS = (INGEST, PIPELINE, GATES, BILLING, KEYS, DEMO)
# Logins of the warehouse have rights of their own, granted by `data.raw.rights`: no role is taken on there.
WAREHOUSE_RAW = Login(
    "myproperty_raw",
    "owns `raw` and loads it",
    "warehouse_raw_dsn",
    (),
    _JOB_LIMITS,
    "bigquery_raw_account",
)
WAREHOUSE_DBT = Login(
    "myproperty_dbt",
    "reads `raw`, owns and builds every other layer",
    "warehouse_dbt_dsn",
    (),
    _SUMMING_LIMITS,
    "bigquery_dbt_account",
)
WAREHOUSE_GATES = Login(
    "myproperty_warehouse_gates",
    "reads all layers",
    "warehouse_gates_dsn",
    (),
    _SUMMING_LIMITS,
    "bigquery_gates_account",
)
WAREHOUSE_READER = Login(
    "myproperty_reader",
    "answers the questions of people from `bi`, `marts` and `core`",
    "warehouse_reader_dsn",
    (),
    READER_LIMITS,
    "bigquery_reader_account",
)
WAREHOUSE_DASHBOARDS = Login(
    "myproperty_dashboards", "reads `bi` for dashboards and BI tools", None, (), READER_LIMITS
)
# The group of those who read some tenants: it has the rights, and each member is a login of its own.
WAREHOUSE_TENANT_READERS = Login(
    "myproperty_tenant_readers", "reads in `bi` the tenants that the seed `tenant_readers` gives it", None
)
WAREHOUSE_LOGINS = (WAREHOUSE_RAW, WAREHOUSE_DBT, WAREHOUSE_GATES, WAREHOUSE_READER, WAREHOUSE_DASHBOARDS)
