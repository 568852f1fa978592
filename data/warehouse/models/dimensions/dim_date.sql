with days as (
    {{ date_series(var('calendar_start'), var('calendar_end')) }}
),

parts as (
    select
        date_day,
        {{ date_part_integer('year', 'date_day') }} as year_number,
        {{ date_part_integer('quarter', 'date_day') }} as quarter_of_year,
        {{ date_part_integer('month', 'date_day') }} as month_of_year,
        {{ date_part_integer('day', 'date_day') }} as day_of_month,
        {{ date_part_integer('dayofyear', 'date_day') }} as day_of_year,
        {{ date_part_integer('isoyear', 'date_day') }} as iso_year,
        {{ date_part_integer('isoweek', 'date_day') }} as iso_week,
        {{ iso_day_of_week('date_day') }} as iso_day_of_week
    from days
)

select
    year_number * 10000 + month_of_year * 100 + day_of_month as date_key,
    date_day,
    year_number,
    quarter_of_year,
    month_of_year,
    day_of_month,
    day_of_year,
    iso_year,
    iso_week,
    iso_day_of_week,
    iso_day_of_week >= 6 as is_weekend
from parts
