with hours as (
    {{ integer_spine(0, 24) }}
)

select
    n as local_hour,
    case when n < 10 then concat('0', cast(n as {{ type_text() }})) else cast(n as {{ type_text() }}) end as hour_label,
    n * 60 as minutes_from,
    (n + 1) * 60 as minutes_to,
    case when n < 6 then 'night' when n < 12 then 'morning' when n < 18 then 'afternoon' else 'evening' end
        as part_of_day
from hours
