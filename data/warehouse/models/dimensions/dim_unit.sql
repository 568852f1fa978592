with versions as (
    {{ versions('snap_units', ['tenant_id', 'unit_id']) }}
),

tenants as (
    select distinct tenant_id from {{ ref('stg_oltp__tenants') }}
),

members as (
    select
        tenant_id,
        unit_id,
        property_id,
        unit_label,
        floor_label,
        sq_ft,
        is_active,
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
        'unknown' as unit_id,
        'unknown' as property_id,
        'unknown' as unit_label,
        cast(null as {{ type_text() }}) as floor_label,
        {{ as_decimal('null', 10, 2) }} as sq_ft,
        false as is_active,
        cast(null as {{ type_instant() }}) as created_at,
        cast(null as {{ type_instant() }}) as updated_at,
        {{ beginning() }} as valid_from,
        cast(null as {{ type_instant() }}) as valid_to,
        true as is_current
    from tenants
)

select
    {{ surrogate_key(['tenant_id', 'unit_id'] + [epoch_micros('valid_from')]) }} as unit_key,
    tenant_id,
    unit_id,
    property_id,
    unit_label,
    floor_label,
    sq_ft,
    is_active,
    created_at,
    updated_at,
    valid_from,
    valid_to,
    is_current
from members
