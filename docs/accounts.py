"""The part of the page of the logins about BigQuery: accounts, roles and the commands that grant them."""

from data.raw.accounts import (
    DATASETS,
    SHARED_WITH_BI,
    SHOWN_AS,
    list_grants,
)
from myproperty.database.roles import WAREHOUSE_LOGINS, Login
from oltp_schema.pages import markdown_table as table

HEAD = """## BigQuery

Each job acts as a service account of its own, if the settings name it: the machine's own credentials
impersonate it, for one hour at a time. Give each machine the right to impersonate the accounts of its jobs
and no other right. Without any of these settings the machine's credentials do everything, as `myproperty
status` says; then `myproperty query` still refuses tables that are not published, but nothing else does, and
the address of that account needs a line with `*` in `data/warehouse/seeds/tenant_readers.csv`. As soon as one
job has an account, people may ask only with that of readers.

"""
TABLE_END = """
In the project every account may run jobs and nothing more: it sees and ends its own jobs, and makes no
dataset. `myproperty query` asks for a dry run first, which is free, and a question may bill at most 10 GiB;
a question of metrics too. The views of `bi` read `core` and `marts` for people who may read `bi` alone
(an authorized dataset), and Google asks who changes such a view to own what it reads.

"""
STEPS_HEAD = """### Make the accounts

Run this once in a shell with `gcloud`, `bq` and `jq`, as an owner of the project. Correct the four lines at
the top; `RUNNER` is the account of the machines that run the platform.

"""
AFTER = """
`gcloud services enable` prints `Operation "operations/..." finished successfully.`, or nothing if it was
enabled; each `bq mk` prints `Dataset '...' successfully created.`; each `gcloud iam service-accounts create`
prints `Created service account [...].`; each `add-iam-policy-binding` prints `Updated IAM policy for ...` and
the policy; each `bq query` ends with `Current status: DONE`; each `bq update` prints `Dataset '...'
successfully updated.`

Then look at what each dataset grants to service accounts:

"""
SETTINGS_HEAD = """
Set the accounts and try them:

"""
TRIES = """
1. `myproperty status` prints `Accounts on BigQuery: one for each job.`
2. `myproperty query 'select count(*) as n from bi.energy_daily_v1 where reading_date = "2026-01-01"'` prints
   one row.
3. `myproperty query 'select count(*) as n from raw.tenants'` prints `the warehouse refused the query: Access
   Denied: Table ...raw.tenants: User does not have permission to query table`.
4. `myproperty run --from D --to D` ends without an error.

### Let somebody read a tenant

Write the address of the reader and the id of the tenant into `data/warehouse/seeds/tenant_readers.csv`. An
account of this project may be written as its name with `_` for `-`: so `myproperty_reader` is the same line
on both engines. Then give the reader `bi` and nothing else:

"""
READER_COMMANDS = """R=user:anna@example.com
gcloud projects add-iam-policy-binding $P --member=$R --role=roles/bigquery.jobUser --condition=None
bq --location=$L --project_id=$P query --nouse_legacy_sql \\
  "grant \\`roles/bigquery.dataViewer\\` on schema \\`$P.${PREFIX}bi\\` to '$R'"
myproperty dbt seed --select tenant_readers"""
READER_TRIES = """
What only a real project shows, asked by the reader in the console, or for a service account by `myproperty
query SQL --as READER`, which the machine's account must be allowed to impersonate:

1. `select distinct tenant_name from bi.energy_daily_v1 where reading_date >= "2026-01-01"` prints the
   reader's tenants alone, and `select count(*) as n from bi.pipeline_runs_v1` prints 0.
2. `select count(*) as n from marts.mart_arrears` and `select * from core.tenant_readers` print `Access
   Denied: Table ...: User does not have permission to query table`.
3. After `myproperty dbt run --full-refresh --select bi` the first question prints the same: the right is the
   dataset's, and a view that is made again keeps it.
4. `bq show --format=prettyjson $P:${PREFIX}core | jq '.access[] | select(.dataset)'` prints one entry, with
   `"datasetId": "bi"` and `"VIEWS"`.
5. Take the line out and seed again: the first question prints no row. BigQuery keeps no answer that depends
   on who asks.

Nobody here can reach Google's BigQuery: these commands and what they print are from its documentation, and
the tests hold that they grant the table above and that each client is built with its account.
"""


def accounts_section() -> str:
    """Return the section, from the declared grants."""
    return (
        HEAD
        + table(("Setting", "Its job", "In the project", "On datasets"), map(_describe, WAREHOUSE_LOGINS))
        + TABLE_END
        + STEPS_HEAD
        + _block(grant_commands())
        + AFTER
        + _block(
            "for D in " + " ".join(DATASETS) + '; do echo "$D:"; '
            "bq show --format=prettyjson $P:$PREFIX$D | jq -r '.access[] | "
            'select(.userByEmail // "" | endswith("gserviceaccount.com")) | '
            '"  \\(.role) \\(.userByEmail)"\' | sort; done'
        )
        + "\nIt must print these lines, and no other account:\n\n"
        + _block("\n".join(_shown()))
        + SETTINGS_HEAD
        + _block("\n".join(_exports()))
        + TRIES
        + _block(READER_COMMANDS)
        + READER_TRIES
    )


def name_account(login: Login) -> str:
    """Return the name of the login's account, before the @."""
    return login.name.replace("_", "-")


def grant_commands() -> str:
    """Return the commands of a shell that make datasets and accounts, and grant them what is declared."""
    names = " ".join(map(name_account, WAREHOUSE_LOGINS))
    impersonated = " ".join(name_account(login) for login in WAREHOUSE_LOGINS if login.account)
    lines = [
        "P=my-project",
        "L=australia-southeast1",
        "PREFIX=",
        "RUNNER=serviceAccount:runner@my-project.iam.gserviceaccount.com",
        "AT=@$P.iam.gserviceaccount.com",
        "",
        "gcloud services enable bigquery.googleapis.com bigquerystorage.googleapis.com "
        "iamcredentials.googleapis.com --project=$P",
        f"for D in {' '.join(DATASETS)}; do bq --location=$L mk --dataset $P:$PREFIX$D; done",
        f"for A in {names}; do gcloud iam service-accounts create $A --project=$P; done",
        f"for A in {impersonated}; do gcloud iam service-accounts add-iam-policy-binding $A$AT --project=$P "
        "--member=$RUNNER --role=roles/iam.serviceAccountTokenCreator; done",
        "",
        "in_project() { gcloud projects add-iam-policy-binding $P --member=serviceAccount:$1$AT --role=$2 "
        "--condition=None; }",
        "on_dataset() { bq --location=$L --project_id=$P query --nouse_legacy_sql "
        "\"grant \\`$2\\` on schema \\`$P.$PREFIX$3\\` to 'serviceAccount:$1$AT'\"; }",
        *(
            f"on_dataset {name_account(login)} {role} {dataset}"
            if dataset
            else f"in_project {name_account(login)} {role}"
            for login, role, dataset in list_grants()
        ),
        "",
        f"for D in {' '.join(SHARED_WITH_BI)}; do",
        "  bq show --format=prettyjson $P:$PREFIX$D | jq --arg p $P --arg d ${PREFIX}bi "
        "'.access += [{dataset: {dataset: {projectId: $p, datasetId: $d}, targetTypes: [\"VIEWS\"]}}]' "
        "> shared.json",
        "  bq update --source shared.json $P:$PREFIX$D",
        "done",
    ]
    return "\n".join(lines)


def _describe(login: Login) -> tuple[str, ...]:
    own = [grant for grant in list_grants() if grant.login is login]
    on_datasets: dict[str, list[str]] = {}
    for grant in own:
        if grant.dataset:
            on_datasets.setdefault(grant.role, []).append(f"`{grant.dataset}`")
    return (
        f"`MYPROPERTY_{login.account.upper()}`" if login.account else f"(`{name_account(login)}`)",
        login.purpose,
        ", ".join(f"`{grant.role}`" for grant in own if grant.dataset is None),
        "; ".join(f"`{role}` on {', '.join(names)}" for role, names in on_datasets.items()),
    )


def _shown() -> list[str]:
    lines = []
    for dataset in DATASETS:
        given = [grant for grant in list_grants() if grant.dataset == dataset]
        lines.append(f"{dataset}:")
        lines += sorted(
            f"  {SHOWN_AS[grant.role]} {name_account(grant.login)}@my-project.iam.gserviceaccount.com"
            for grant in given
        )
    return lines


def _exports() -> list[str]:
    return [
        f"export MYPROPERTY_{login.account.upper()}={name_account(login)}$AT"
        for login in WAREHOUSE_LOGINS
        if login.account
    ]


def _block(text: str) -> str:
    return f"```\n{text}\n```\n"
