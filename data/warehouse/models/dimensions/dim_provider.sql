with versions as (
    {{ versions('snap_providers', ['tenant_id', 'provider_id']) }}
),

tenants as (
    select distinct tenant_id from {{ ref('stg_oltp__tenants') }}
),

members as (
    select
        tenant_id,
        provider_id,
        provider_name,
        provider_kind,
        region,
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
        'unknown' as provider_id,
        'unknown' as provider_name,
        'unknown' as provider_kind,
        cast(null as {{ type_text() }}) as region,
        'unknown' as status,
        cast(null as {{ type_instant() }}) as created_at,
        cast(null as {{ type_instant() }}) as updated_at,
        {{ beginning() }} as valid_from,
        cast(null as {{ type_instant() }}) as valid_to,
        true as is_current
    from tenants
)

select
    {{ surrogate_key(['tenant_id', 'provider_id'] + [epoch_micros('valid_from')]) }} as provider_key,
    tenant_id,
    provider_id,
    provider_name,
    provider_kind,
    region,
    status,
    created_at,
    updated_at,
    valid_from,
    valid_to,
    is_current
from members
