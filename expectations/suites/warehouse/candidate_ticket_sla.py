"""Gate D for `staging.candidate_ticket_sla`: no ticket is lost or counted twice on the way to its month."""

from typing import TYPE_CHECKING

import pandas as pd

from expectations.frames import Warehouse, warehouse_frame
from expectations.rules import Rule, suite

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

GATE, TABLE = "D", "candidate_ticket_sla"
ID_COLUMNS = ("tenant_id", "priority")
ROWS_REQUIRED = False

RULES = {
    "tickets": Rule(
        "D-SLA-001", "the months hold every ticket once",
        "Look at the joins of fact_service_ticket and candidate_ticket_sla.",
    ),
    "order": Rule(
        "D-SLA-002", "the median is no longer than the 90th percentile",
        "Run again; if it fails again, look at the ranks in candidate_ticket_sla.",
    ),
}  # fmt: skip

CANDIDATE = """
select coalesce(m.tenant_id, t.tenant_id) as tenant_id, coalesce(m.priority, t.priority) as priority,
       coalesce(m.opened, 0) - coalesce(t.opened, 0) as ticket_difference,
       coalesce(m.disordered, 0) as disordered
from (
    select tenant_id, priority, sum(opened) as opened,
           sum(case when median_seconds_to_resolve > p90_seconds_to_resolve then 1 else 0 end) as disordered
    from ${prefix}staging.candidate_ticket_sla
    group by tenant_id, priority
) as m
full join (
    select tenant_id, priority, count(*) as opened
    from ${prefix}staging.stg_oltp__service_tickets
    group by tenant_id, priority
) as t
    on t.tenant_id = m.tenant_id and t.priority = m.priority
"""


def profile(warehouse: Warehouse, prefix: str = "") -> pd.DataFrame:
    """A row a tenant and priority, of months and of tickets."""
    frame = warehouse_frame(warehouse, CANDIDATE, prefix=prefix)
    for column in ("ticket_difference", "disordered"):
        frame[column] = pd.to_numeric(frame[column], errors="raise").astype("int64")
    return frame


def build_suite() -> "ExpectationSuite":
    """The rules D-SLA-001 and 002."""
    zero = {"min_value": 0, "max_value": 0}
    between = "expect_column_values_to_be_between"
    return suite(
        GATE,
        TABLE,
        [
            RULES["tickets"].expect(between, column="ticket_difference", **zero),
            RULES["order"].expect(between, column="disordered", **zero),
        ],
    )
