{{ versioned_dimension(
    snapshot='snap_rate_plans',
    id='rate_plan_id',
    unknown={
        'provider_id': 'unknown',
        'rate_plan_name': 'unknown',
        'status': 'unknown'
    }
) }}
