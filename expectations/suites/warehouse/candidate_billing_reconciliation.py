"""Gate D for `staging.candidate_billing_reconciliation`: bills tie from the meter to the payment.

The database refuses money that does not tie, so where it does not here, rows were lost on the way. Energy may
differ for a while: from when readings are revised until the next invoice corrects it.
"""

from typing import TYPE_CHECKING

import pandas as pd

from expectations.frames import Warehouse, warehouse_frame
from expectations.rules import Rule, suite

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

GATE, TABLE = "D", "candidate_billing_reconciliation"
ID_COLUMNS = ("tenant_id", "invoice_id", "allocation_id")
ROWS_REQUIRED = False

RULES = {
    "key": Rule(
        "D-BILLING-001", "one row a tenant, invoice and allocation",
        "Look at the joins of candidate_billing_reconciliation.",
    ),
    "money": Rule(
        "D-BILLING-002", "lines, invoice, ledger and payments tie to the cent",
        "Compare with `myproperty billing ties`; if that ties, land and load the tables of billing again.",
    ),
    "energy": Rule(
        "D-BILLING-003", "what is billed is what was allocated, and that is what was metered",
        "See `myproperty billing tasks`: adjust the allocation, and the next invoice corrects it.",
        severity="warn",
    ),
}  # fmt: skip

CANDIDATE = """
select tenant_id, coalesce(invoice_id, '') as invoice_id, coalesce(allocation_id, '') as allocation_id,
       finding
from ${prefix}staging.candidate_billing_reconciliation
"""


def profile(warehouse: Warehouse, prefix: str = "") -> pd.DataFrame:
    """All candidate rows: a billing period is longer than a run."""
    return warehouse_frame(warehouse, CANDIDATE, prefix=prefix)


def build_suite() -> "ExpectationSuite":
    """The rules D-BILLING-001 to 003."""
    absent = "expect_column_values_to_not_be_in_set"
    money = ["lines to invoice", "invoice to ledger", "payment to ledger"]
    energy = ["meter to allocation", "allocation to invoice"]
    return suite(
        GATE,
        TABLE,
        [
            RULES["key"].expect("expect_compound_columns_to_be_unique", column_list=list(ID_COLUMNS)),
            RULES["money"].expect(absent, column="finding", value_set=money),
            RULES["energy"].expect(absent, column="finding", value_set=energy),
        ],
    )
