select
    tenant_id,
    id as project_link_id,
    property_id,
    originfd_project_id,
    project_type,
    status,
    target_live_date,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'project_links') }}
