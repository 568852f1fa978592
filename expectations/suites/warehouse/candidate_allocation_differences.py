"""Gate D for `staging.candidate_allocation_differences`: the models allocate what was billed.

Readings revised after billing explain a difference and open a task of `myproperty billing tasks`. A
difference without explanation means that the ledger or a model is wrong.
"""

from expectations.rules import GateRule, WarehouseSuite, are_unique, is_none_of

SUITE = WarehouseSuite(
    table="candidate_allocation_differences",
    id_columns=("tenant_id", "allocation_id"),
    # Read whole: a billing period is longer than a run.
    sql="""
select tenant_id, allocation_id, finding from ${prefix}staging.candidate_allocation_differences
""",
    rules=(
        GateRule(
            "D-ALLOCATION-001",
            are_unique(["tenant_id", "allocation_id"]),
            "each tenant and row of the allocation ledger has one row",
            "`myproperty reload allocation_ledger`, then `myproperty run --from {first} --to {last}`. If "
            "it fails again, look at the joins of candidate_allocation_differences.",
        ),
        GateRule(
            "D-ALLOCATION-002",
            is_none_of("finding", ["unexplained"]),
            "the ledger equals what the readings give, or revised readings explain the difference",
            "Compare the intervals of the period in staging.int_allocation__intervals with "
            "`myproperty billing ties`; shares, tenancies or assignments may have changed after billing.",
            severity="warn",
        ),
    ),
)
