"""Gate D for `staging.candidate_arrears`: what residents owe equals the ledger, to the cent."""

from expectations.rules import GateRule, WarehouseSuite, is_zero

SUITE = WarehouseSuite(
    table="candidate_arrears",
    id_columns=("tenant_id", "currency"),
    # One row for each tenant and currency: the candidate on its latest date, and the whole account.
    sql="""
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
    where debit_account = 'receivables' or credit_account = 'receivables'
    group by tenant_id, currency
) as e
    on e.tenant_id = o.tenant_id and e.currency = o.currency
""",
    floats=("ledger_difference", "buckets_difference"),
    rules=(
        GateRule(
            "D-ARREARS-001",
            is_zero("ledger_difference"),
            "outstanding less overpaid is the balance of receivables",
            "`myproperty reload ledger_entries`, `myproperty reload invoices` and `myproperty reload "
            "payments` copy what may not have landed; then `myproperty run`. If it fails again, look at "
            "the joins of candidate_arrears.",
        ),
        GateRule(
            "D-ARREARS-002",
            is_zero("buckets_difference"),
            "the amounts due and overdue by age add up to the amount outstanding",
            "`myproperty run` again. If it fails again, look at the due dates of open invoices.",
        ),
    ),
)
