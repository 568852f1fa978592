with versions as (
    {{ versions('snap_tenants', ['tenant_id']) }}
)

select
    {{ surrogate_key(['tenant_id'] + [epoch_micros('valid_from')]) }} as tenant_key,
    tenant_id,
    tenant_name,
    region,
    status,
    created_at,
    updated_at,
    valid_from,
    valid_to,
    is_current
from versions
