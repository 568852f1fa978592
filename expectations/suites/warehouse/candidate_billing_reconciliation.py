"""Gate D for `staging.candidate_billing_reconciliation`: bills tie from the meter to the payment.

The OLTP database refuses money that does not tie; if it does not tie here, rows were lost on the way. Energy
may differ for a while: from the time readings are revised until the next invoice corrects it.
"""

from expectations.rules import GateRule, WarehouseSuite, are_unique, is_none_of

SUITE = WarehouseSuite(
    table="candidate_billing_reconciliation",
    id_columns=("tenant_id", "invoice_id", "allocation_id"),
    # Read whole: a billing period is longer than a run.
    sql="""
select tenant_id, coalesce(invoice_id, '') as invoice_id, coalesce(allocation_id, '') as allocation_id,
       finding
from ${prefix}staging.candidate_billing_reconciliation
""",
    rules=(
        GateRule(
            "D-BILLING-001",
            are_unique(["tenant_id", "invoice_id", "allocation_id"]),
            "each tenant, invoice and allocation has one row",
            "`myproperty reload invoices` and `myproperty reload invoice_lines`, then `myproperty run`. If "
            "it fails again, look at the joins of candidate_billing_reconciliation.",
        ),
        GateRule(
            "D-BILLING-002",
            is_none_of("finding", ["lines to invoice", "invoice to ledger", "payment to ledger"]),
            "lines, invoice, ledger and payments tie to the cent",
            "Compare with `myproperty billing ties`; if that ties, land and load the billing tables again.",
        ),
        GateRule(
            "D-BILLING-003",
            is_none_of("finding", ["meter to allocation", "allocation to invoice"]),
            "billed energy equals allocated energy, and allocated energy equals metered energy",
            "See `myproperty billing tasks`: adjust the allocation, and the next invoice corrects it.",
            severity="warn",
        ),
    ),
)
