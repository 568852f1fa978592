with versions as (
    {{ versions('snap_rate_plans', ['tenant_id', 'rate_plan_id']) }}
),

tenants as (
    select distinct tenant_id from {{ ref('stg_oltp__tenants') }}
),

members as (
    select
        tenant_id,
        rate_plan_id,
        provider_id,
        rate_plan_name,
        currency,
        status,
        created_at,
        updated_at,
        valid_from,
        valid_to,
        is_current
    from versions
    union all
    -- What a fact without one refers to: a member a tenant, so that a join by key keeps to the tenant.
    select
        tenant_id,
        'unknown' as rate_plan_id,
        'unknown' as provider_id,
        'unknown' as rate_plan_name,
        cast(null as {{ type_text() }}) as currency,
        'unknown' as status,
        cast(null as {{ type_instant() }}) as created_at,
        cast(null as {{ type_instant() }}) as updated_at,
        {{ beginning() }} as valid_from,
        cast(null as {{ type_instant() }}) as valid_to,
        true as is_current
    from tenants
)

select
    {{ surrogate_key(['tenant_id', 'rate_plan_id'] + [epoch_micros('valid_from')]) }} as rate_plan_key,
    tenant_id,
    rate_plan_id,
    provider_id,
    rate_plan_name,
    currency,
    status,
    created_at,
    updated_at,
    valid_from,
    valid_to,
    is_current
from members
