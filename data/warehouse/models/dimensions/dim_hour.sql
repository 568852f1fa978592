with hours as (
    select
        number as hour_number,
        cast(number as {{ sql_type('string') }}) as hour_text
    from ({{ integer_series(0, 24) }}) as series
)

select
    hour_number as local_hour,
    case when hour_number < 10 then concat('0', hour_text) else hour_text end as hour_label,
    hour_number * 60 as minutes_from,
    (hour_number + 1) * 60 as minutes_to,
    case
        when hour_number < 6 then 'night'
        when hour_number < 12 then 'morning'
        when hour_number < 18 then 'afternoon'
        else 'evening'
    end as part_of_day
from hours
