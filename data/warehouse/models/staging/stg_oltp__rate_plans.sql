select
    tenant_id,
    id as rate_plan_id,
    provider_id,
    name as rate_plan_name,
    currency,
    status,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'rate_plans') }}
