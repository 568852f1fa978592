"""Gate D for `staging.candidate_arrears`: what residents owe is what the ledger says, to the cent."""

from typing import TYPE_CHECKING

import pandas as pd

from expectations.frames import Warehouse, warehouse_frame
from expectations.rules import Rule, suite

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

GATE, TABLE = "D", "candidate_arrears"
ID_COLUMNS = ("tenant_id", "currency")
ROWS_REQUIRED = False

RULES = {
    "ledger": Rule(
        "D-ARREARS-001", "outstanding less overpaid is the balance of receivables",
        "Look at the joins of candidate_arrears, and for entries whose invoice or payment did not land.",
    ),
    "buckets": Rule(
        "D-ARREARS-002", "what is due and what is overdue by age add up to what is outstanding",
        "Run again; if it fails again, look at the due dates of open invoices.",
    ),
}  # fmt: skip

# A tenant and currency is a row: on the latest date, and of the ledger up to it.
CANDIDATE = """
select coalesce(o.tenant_id, e.tenant_id) as tenant_id, coalesce(o.currency, e.currency) as currency,
       coalesce(o.balance, 0) - coalesce(e.balance, 0) as ledger_difference,
       coalesce(o.buckets_difference, 0) as buckets_difference
from (
    select tenant_id, currency, sum(outstanding_amount - overpaid_amount) as balance,
           sum(abs(outstanding_amount - current_amount - days_1_30_amount - days_31_60_amount
                   - days_61_90_amount - over_90_days_amount)) as buckets_difference
    from ${prefix}staging.candidate_arrears
    where is_latest
    group by tenant_id, currency
) as o
full join (
    select tenant_id, currency,
           sum(case when debit_account = 'receivables' then amount else -amount end) as balance
    from ${prefix}staging.stg_oltp__ledger_entries
    where reference_type in ('invoice', 'payment')
      and (debit_account = 'receivables' or credit_account = 'receivables')
    group by tenant_id, currency
) as e
    on e.tenant_id = o.tenant_id and e.currency = o.currency
"""


def profile(warehouse: Warehouse, prefix: str = "") -> pd.DataFrame:
    """A row a tenant and currency that has receivables, differences as floats."""
    frame = warehouse_frame(warehouse, CANDIDATE, prefix=prefix)
    for column in ("ledger_difference", "buckets_difference"):
        frame[column] = pd.to_numeric(frame[column], errors="raise").astype("float64")
    return frame


def build_suite() -> "ExpectationSuite":
    """The rules D-ARREARS-001 and 002."""
    zero = {"min_value": 0, "max_value": 0}
    between = "expect_column_values_to_be_between"
    return suite(
        GATE,
        TABLE,
        [
            RULES["ledger"].expect(between, column="ledger_difference", **zero),
            RULES["buckets"].expect(between, column="buckets_difference", **zero),
        ],
    )
