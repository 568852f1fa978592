-- Billed less credited energy equals the allocation. An adjusted allocation is left out: it differs until a later
-- invoice corrects it.
with lines as (
    select
        invoice_lines.tenant_id,
        invoice_lines.allocation_id,
        case when invoice_lines.category = 'credit' then bands.charge else invoice_lines.category end as charge,
        case when invoice_lines.category = 'credit' then -1 else 1 end * invoice_lines.quantity as kwh
    from {{ ref('fact_invoice') }} as invoice_lines
    left join {{ ref('dim_rate_plan_band') }} as bands
        on
            invoice_lines.tenant_id = bands.tenant_id
            and invoice_lines.rate_plan_band_id = bands.rate_plan_band_id
    where
        invoice_lines.allocation_id is not null
        and invoice_lines.status != 'void'
),

billed as (
    select
        tenant_id,
        allocation_id,
        sum(case when charge = 'solar' then kwh else 0 end) as solar_kwh,
        sum(case when charge = 'grid' then kwh else 0 end) as grid_kwh
    from lines
    group by tenant_id, allocation_id
)

select
    billed.tenant_id,
    billed.allocation_id,
    billed.solar_kwh,
    ledger.solar_kwh as allocated_solar_kwh,
    billed.grid_kwh,
    ledger.grid_kwh as allocated_grid_kwh
from billed
left join {{ ref('stg_oltp__allocation_ledger') }} as ledger
    on
        billed.tenant_id = ledger.tenant_id
        and billed.allocation_id = ledger.allocation_id
where
    ledger.adjusted_at is null
    and (
        ledger.allocation_id is null
        or billed.solar_kwh != ledger.solar_kwh
        or billed.grid_kwh != ledger.grid_kwh
    )
