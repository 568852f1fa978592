"""Gate D for `staging.candidate_ticket_sla`: the months hold every ticket once."""

from expectations.rules import GateRule, WarehouseSuite, is_zero

SUITE = WarehouseSuite(
    table="candidate_ticket_sla",
    id_columns=("tenant_id", "priority"),
    # One row for each tenant and priority: all months of the candidate, and all tickets.
    sql="""
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
""",
    integers=("ticket_difference", "disordered"),
    rules=(
        GateRule(
            "D-SLA-001",
            is_zero("ticket_difference"),
            "the months hold every ticket once",
            "`myproperty reload service_tickets`, then `myproperty run`. If it fails again, look at the "
            "joins of fact_service_ticket and candidate_ticket_sla.",
        ),
        GateRule(
            "D-SLA-002",
            is_zero("disordered"),
            "the median is not above the 90th percentile",
            "`myproperty run` again. If it fails again, look at the ranks in candidate_ticket_sla.",
        ),
    ),
)
