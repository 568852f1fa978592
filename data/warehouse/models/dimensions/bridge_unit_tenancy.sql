with tenancies as (
    select * from {{ ref('stg_oltp__tenancies') }}
),

units as (
    select
        tenant_id,
        unit_id,
        property_id
    from {{ ref('stg_oltp__units') }}
)

select
    {{ dimension_key(['tenancies.tenant_id', 'tenancies.tenancy_id']) }} as tenancy_key,
    tenancies.tenant_id,
    tenancies.tenancy_id,
    tenancies.unit_id,
    units.property_id,
    tenancies.user_id,
    tenancies.occupied_from,
    tenancies.occupied_to
from tenancies
inner join units
    on
        tenancies.tenant_id = units.tenant_id
        and tenancies.unit_id = units.unit_id
