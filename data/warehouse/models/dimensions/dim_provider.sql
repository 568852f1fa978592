{{ versioned_dimension(
    snapshot='snap_providers',
    id='provider_id',
    unknown={
        'provider_name': 'unknown',
        'provider_kind': 'unknown',
        'status': 'unknown'
    }
) }}
