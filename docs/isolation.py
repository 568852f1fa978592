"""The page of isolation: what one tenant can try to learn about another one, and what comes out.

Here: words and layout; the attempts are data of the test that makes them.
"""

from oltp_schema.pages import markdown_table as table
from tests.oltp.side_channels import ATTEMPTS

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
            "every join has the tenant; `tests/end_to_end/test_tenants.py` looks up each id of each layer "
            "with its tenant.\n",
            "Beside the rows there are messages, statistics, plans and other sessions. The table lists what "
            "was tried by a login that may take on a role, for its own tenant. "
            "`tests/oltp/test_side_channels.py` makes each attempt against another tenant.\n",
            table(("Attempt", "What is tried", "Role", "What comes out", "What to do"), rows),
            "Not tried: how long a statement takes. Readers of the warehouse see every tenant: give `bi` to "
            "people of the company that runs the platform, and to nobody of a tenant.\n",
        ]
    )
