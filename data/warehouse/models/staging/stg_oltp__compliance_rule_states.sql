select
    tenant_id,
    id as compliance_rule_state_id,
    property_id,
    rule_code,
    state,
    evaluated_at,
    due_on,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'compliance_rule_states') }}
