{{ versioned_dimension(
    snapshot='snap_properties',
    id='property_id',
    unknown={
        'property_name': 'unknown',
        'timezone': 'UTC',
        'status': 'unknown'
    }
) }}
