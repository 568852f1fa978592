"""The page of isolation: what one tenant can try to learn about another one, and who reads what.

Here: words and layout; the attempts are data of the test that makes them, the rights those of the logins.
"""

from data.raw.rights import LAYERS, OWNS, RAW, READS
from data.warehouse.readers import list_views
from myproperty.database.roles import WAREHOUSE_LOGINS, WAREHOUSE_TENANT_READERS, Login
from oltp_schema.pages import markdown_table as table
from tests.oltp.side_channels import ATTEMPTS

_READERS = (*WAREHOUSE_LOGINS, WAREHOUSE_TENANT_READERS)
_COLUMNS = [login.name.removeprefix("myproperty_") for login in WAREHOUSE_LOGINS]
_WORDS = {"nothing": "nothing", "refused": "refused", "tells": "**tells**"}


def isolation_page() -> str:
    """Return the page."""
    rows = [
        (
            f"`{a.id}`",
            a.tried,
            f"`{a.role.removeprefix('myproperty_')}`",
            f"{_WORDS[a.outcome]}: {a.told}",
            a.answer,
        )
        for a in ATTEMPTS
    ]
    return "\n".join(
        [
            "# What a tenant can learn about another one\n",
            "Rows are kept apart by policies on every table ([the OLTP schema](oltp.md)): "
            "`tests/oltp/test_isolation.py` tries every table, partition, view and role. In the warehouse "
            "each view of `bi` filters by who asks.\n",
            "## Who reads what in the warehouse\n",
            "Who may read which tenant is in `data/warehouse/seeds/tenant_readers.csv`, a file of the "
            "installation: a reader (a login of PostgreSQL, an address on BigQuery) and a tenant's id, or "
            "`*` for all tenants. Whoever is not in it sees no row. A change holds after `myproperty dbt "
            "seed --select tenant_readers` or the next run, whose gates it does not wait for; a new reader "
            "on PostgreSQL also needs `myproperty migrate`, which makes the login.\n",
            table(("Relation", *(f"`{name}`" for name in _COLUMNS), "a reader of tenants"), _matrix()),
            "`tests/end_to_end/test_readers.py` asks every relation as every login and compares the rows of "
            "each tenant; the views are asked on Google's own engine and on the emulator too. "
            "`tests/end_to_end/test_tenants.py` looks up each id of each layer with its tenant. dbt refuses "
            "to build a view of `bi` without a rule.\n",
            "On PostgreSQL the views are security barriers: a function or an error in a reader's query meets "
            "rows of its tenants only; a plan tells how many rows there are in all. BigQuery has no such "
            "order of computing. There an error, such as a division by zero, may tell that a row of another "
            "tenant exists, and the bytes that a question processes grow with all tenants. Where a tenant's "
            "accountant may not learn even that, give the tenant a table of its own.\n",
            "## What tells of another tenant in PostgreSQL\n",
            "Beside the rows there are messages, statistics, plans and other sessions. The table lists what "
            "was tried by a login that may take on a role, for its own tenant. "
            "`tests/oltp/test_side_channels.py` makes each attempt against another tenant.\n",
            table(("Attempt", "What is tried", "Role", "What comes out", "What to do"), rows),
            "Not tried: how long a statement takes.\n",
        ]
    )


def _matrix() -> list[tuple[str, ...]]:
    layers = [layer for layer in (RAW, *LAYERS) if layer != "bi"]
    rows = [(f"`{layer}`", *(_say(login, layer) for login in _READERS)) for layer in layers]
    for view, has_tenants in list_views().items():
        said = [_say(login, "bi") for login in _READERS]
        said[-1] = "its tenants" if has_tenants else "nothing"
        rows.append((f"`bi.{view}`", *said))
    return rows


def _say(login: Login, layer: str) -> str:
    return "all" if layer in (*OWNS.get(login, ()), *READS.get(login, ())) else "refused"
