with bands as (
    select * from {{ ref('stg_oltp__rate_plan_bands') }}
),

plans as (
    select * from {{ ref('stg_oltp__rate_plans') }}
)

select
    {{ dimension_key(['bands.tenant_id', 'bands.rate_plan_band_id']) }} as rate_plan_band_key,
    bands.tenant_id,
    bands.rate_plan_band_id,
    bands.rate_plan_id,
    bands.charge,
    bands.band,
    bands.day_kind,
    bands.minutes_from,
    bands.minutes_to,
    bands.unit_amount,
    bands.tax_rate,
    plans.currency,
    bands.valid_from,
    bands.valid_to
from bands
inner join plans
    on
        bands.tenant_id = plans.tenant_id
        and bands.rate_plan_id = plans.rate_plan_id
