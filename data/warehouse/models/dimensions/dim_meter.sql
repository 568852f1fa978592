with versions as (
    {{ versions('snap_meters', ['tenant_id', 'meter_id']) }}
),

tenants as (
    select distinct tenant_id from {{ ref('stg_oltp__tenants') }}
),

members as (
    select
        tenant_id,
        meter_id,
        property_id,
        meter_type,
        make_model,
        serial_number,
        timezone,
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
        'unknown' as meter_id,
        'unknown' as property_id,
        'unknown' as meter_type,
        cast(null as {{ type_text() }}) as make_model,
        cast(null as {{ type_text() }}) as serial_number,
        'UTC' as timezone,
        'unknown' as status,
        cast(null as {{ type_instant() }}) as created_at,
        cast(null as {{ type_instant() }}) as updated_at,
        {{ beginning() }} as valid_from,
        cast(null as {{ type_instant() }}) as valid_to,
        true as is_current
    from tenants
)

select
    {{ surrogate_key(['tenant_id', 'meter_id'] + [epoch_micros('valid_from')]) }} as meter_key,
    tenant_id,
    meter_id,
    property_id,
    meter_type,
    make_model,
    serial_number,
    timezone,
    status,
    created_at,
    updated_at,
    valid_from,
    valid_to,
    is_current
from members
