"""The database roles: their names, and what each is for.

Here: names for Python code, which takes a role on with `set local role`. `oltp_schema.roles` creates the
roles, and the migrations grant their rights; a test compares every role that they name with this module.
"""

from dataclasses import dataclass

OWNER_ROLE = "myproperty_owner"
PARTITIONER_ROLE = "myproperty_partitioner"
GUARDIAN_ROLE = "myproperty_guardian"
ORIGINFD_ROLE = "originfd"
APP_ROLE = "myproperty_app"
LOADER_ROLE = "myproperty_loader"
ETL_ROLE = "myproperty_etl"
READONLY_ROLE = "myproperty_readonly"
AUDITOR_ROLE = "myproperty_auditor"
# A login of the warehouse, made by `data.raw.readers`; the others are roles of the operational database.
READER_ROLE = "myproperty_reader"


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
)
# A migration acts as each of these: they own the objects.
OWNERS = ROLES[:4]
