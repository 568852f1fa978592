-- A contract with a provider of the demo has the bands that the provider publishes, all of them and no other.
with contracts as (
    select distinct
        providers.provider_name,
        plans.rate_plan_name as plan_name,
        bands.currency,
        bands.charge,
        bands.band,
        bands.day_kind,
        bands.minutes_from,
        bands.minutes_to,
        bands.unit_amount,
        bands.tax_rate,
        bands.valid_from,
        bands.valid_to
    from {{ ref('dim_rate_plan_band') }} as bands
    inner join {{ ref('dim_rate_plan') }} as plans
        on
            bands.tenant_id = plans.tenant_id
            and bands.rate_plan_id = plans.rate_plan_id
            and plans.is_current
    inner join {{ ref('dim_provider') }} as providers
        on
            plans.tenant_id = providers.tenant_id
            and plans.provider_id = providers.provider_id
            and providers.is_current
    where providers.provider_name in (select published.provider_name from {{ ref('demo_tariff_bands') }} as published)
),

both_sides as (
    select
        *,
        'contract' as side
    from contracts
    union all
    select
        provider_name,
        plan_name,
        currency,
        charge,
        band,
        day_kind,
        minutes_from,
        minutes_to,
        unit_amount,
        tax_rate,
        valid_from,
        valid_to,
        'published' as side
    from {{ ref('demo_tariff_bands') }}
    where plan_name in (select contracts.plan_name from contracts)
)

select
    provider_name,
    plan_name,
    currency,
    charge,
    band,
    day_kind,
    minutes_from,
    minutes_to,
    unit_amount,
    tax_rate,
    valid_from,
    valid_to,
    min(side) as only_side
from both_sides
group by
    provider_name, plan_name, currency, charge, band, day_kind, minutes_from, minutes_to, unit_amount, tax_rate,
    valid_from, valid_to
having min(side) = max(side)
