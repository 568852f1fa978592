select
    tenant_id,
    tenant_name,
    reading_date,
    cast(readings as {{ sql_type('integer') }}) as readings,
    cast(estimated_readings as {{ sql_type('integer') }}) as estimated_readings,
    {{ as_energy('energy_kwh') }} as energy_kwh,
    cast(open_infos as {{ sql_type('integer') }}) as open_infos,
    cast(open_issues as {{ sql_type('integer') }}) as open_issues,
    cast(open_severe_issues as {{ sql_type('integer') }}) as open_severe_issues,
    cast(accepted_issues as {{ sql_type('integer') }}) as accepted_issues,
    cast(quarantined_readings as {{ sql_type('integer') }}) as quarantined_readings,
    cast(open_quarantined_readings as {{ sql_type('integer') }}) as open_quarantined_readings,
    cast(files as {{ sql_type('integer') }}) as files,
    cast(refused_files as {{ sql_type('integer') }}) as refused_files,
    first_loaded_at,
    cast(silent_formats as {{ sql_type('integer') }}) as silent_formats,
    landed_at
from {{ source('raw', 'quality_days') }}
