with tenants as (
    select * from {{ ref('stg_oltp__tenants') }}
)

select
    {{ surrogate_key(['tenant_id']) }} as tenant_key,
    tenant_id,
    tenant_name,
    region,
    status,
    created_at,
    updated_at
from tenants
