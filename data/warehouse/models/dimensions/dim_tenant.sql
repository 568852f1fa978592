{{ versioned_dimension(snapshot='snap_tenants', id='tenant_id') }}
