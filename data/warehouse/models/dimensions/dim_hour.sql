with hours as (
    {{ integer_series(0, 24) }}
)

select
    number as local_hour,
    case when number < 10 then concat('0', cast(number as {{ sql_type('string') }})) else cast(number as {{ sql_type('string') }}) end as hour_label,
    number * 60 as minutes_from,
    (number + 1) * 60 as minutes_to,
    case when number < 6 then 'night' when number < 12 then 'morning' when number < 18 then 'afternoon' else 'evening' end
        as part_of_day
from hours
