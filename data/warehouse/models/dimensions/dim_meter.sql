{{ versioned_dimension(
    snapshot='snap_meters',
    id='meter_id',
    unknown={
        'property_id': 'unknown',
        'meter_type': 'unknown',
        'timezone': 'UTC',
        'status': 'unknown'
    }
) }}
