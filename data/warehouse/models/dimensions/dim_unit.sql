{{ versioned_dimension(
    snapshot='snap_units',
    id='unit_id',
    unknown={
        'property_id': 'unknown',
        'unit_label': 'unknown',
        'is_active': false
    }
) }}
