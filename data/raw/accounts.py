"""The rights of each job's account on BigQuery, from the same declaration as those of the logins.

Here: what to grant, and the commands that grant it. A person runs them once: no job may give rights.
"""

from typing import NamedTuple

from data.ingest.errors import QueryRefused
from data.raw.rights import LAYERS, OWNS, RAW, READS
from myproperty.database.roles import WAREHOUSE_GATES, WAREHOUSE_LOGINS, WAREHOUSE_RAW, Login

# What one question of a person may read, asked by `myproperty query` or `myproperty metrics query`.
MOST_BYTES_OF_A_READER = 10 * 2**30
DATASETS = (RAW, *LAYERS)
# How the address of a service account ends.
ACCOUNTS = "iam.gserviceaccount.com"
READ, WRITE, OWN = "roles/bigquery.dataViewer", "roles/bigquery.dataEditor", "roles/bigquery.dataOwner"
# What `bq show` calls these roles.
SHOWN_AS = {READ: "READER", WRITE: "WRITER", OWN: "OWNER"}
# Runs queries and loads; lists and cancels its own jobs. It may not create datasets, as bigquery.user may.
JOBS = "roles/bigquery.jobUser"
# Reads many rows by the Storage API.
SESSIONS = "roles/bigquery.readSessionUser"
# The views of `bi` read these for people who may read `bi` alone; who makes such a view has to own both.
SHARED_WITH_BI = ("core", "marts")


class AccountRole(NamedTuple):
    """A role of an account on a dataset, or on the project for None."""

    login: Login
    role: str
    dataset: str | None


def find_account(reader: str, project: str) -> str:
    """Return the account of a reader, as the seed `tenant_readers` names it.

    Raises `QueryRefused` for the address of a person, whom no machine can act as.
    """
    account = reader if "@" in reader else f"{reader.replace('_', '-')}@{project}.{ACCOUNTS}"
    if not account.endswith(f".{ACCOUNTS}"):
        raise QueryRefused(f"nobody can ask as {reader} but this person, in the console of BigQuery")
    return account


def list_grants() -> list[AccountRole]:
    """Return all grants, by account."""
    found = []
    for login in WAREHOUSE_LOGINS:
        found.append(AccountRole(login, JOBS, None))
        if login in (WAREHOUSE_RAW, WAREHOUSE_GATES):
            found.append(AccountRole(login, SESSIONS, None))
        for dataset in DATASETS:
            if dataset in OWNS.get(login, ()):
                found.append(AccountRole(login, OWN if dataset in SHARED_WITH_BI else WRITE, dataset))
            elif dataset in READS.get(login, ()):
                found.append(AccountRole(login, READ, dataset))
    return found
