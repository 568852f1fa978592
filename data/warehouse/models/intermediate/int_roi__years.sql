{{ config(materialized='table') }}

with assumed as (
    select * from {{ ref('int_roi__assumptions') }}
),

years as (
    {{ integer_series(0, 51) }}
),

-- Floating point from here: powers of assumed rates. Whoever shows a figure rounds it.
grown as (
    select
        assumed.tenant_id,
        assumed.property_id,
        assumed.appraisal_id,
        years.number as year_number,
        {{ add_months('assumed.valid_from', '12 * (years.number - 1)') }} as first_date,
        {{ add_months('assumed.valid_from', '12 * years.number') }} as end_date,
        case
            when years.number = 0 then 0
            else
                {{ as_float('assumed.first_year_kwh') }}
                * power(1 - {{ as_float('assumed.degradation_rate') }}, {{ as_float('years.number - 1') }})
        end as energy_kwh,
        {{ as_float('assumed.export_share') }} as export_share,
        {{ as_float('assumed.price_per_kwh') }}
        * power(1 + {{ as_float('assumed.price_growth_rate') }}, {{ as_float('years.number - 1') }}) as price,
        coalesce({{ as_float('assumed.export_price_per_kwh') }}, 0) as export_price,
        case when years.number = 0 then 0 else 1 end * {{ as_float('assumed.yearly_cost') }}
        * power(1 + {{ as_float('assumed.cost_growth_rate') }}, {{ as_float('years.number - 1') }}) as operation_amount,
        case
            when years.number = assumed.replacement_year then {{ as_float('assumed.replacement_cost') }}
            else 0
        end as replacement_amount,
        case when years.number = 0 then 0 else 1 end
        * {{ as_float('assumed.capital_cost - assumed.incentives') }} / {{ as_float('assumed.lifetime_years') }}
            as depreciation_amount,
        case when years.number = 0 then 1 else 0 end
        * {{ as_float('assumed.capital_cost - assumed.incentives') }} as investment_amount,
        {{ as_float('assumed.tax_rate') }} as tax_rate
    from assumed
    cross join years
    where years.number <= assumed.lifetime_years
),

earned as (
    select
        grown.*,
        energy_kwh * (1 - export_share) * price + energy_kwh * export_share * export_price as revenue_amount
    from grown
)

select
    tenant_id,
    property_id,
    appraisal_id,
    year_number,
    case when year_number > 0 then first_date end as first_date,
    case when year_number > 0 then end_date end as end_date,
    energy_kwh,
    energy_kwh * export_share as exported_kwh,
    revenue_amount,
    energy_kwh * export_share * export_price as feed_in_amount,
    operation_amount,
    replacement_amount,
    depreciation_amount,
    investment_amount,
    tax_rate,
    -- A loss lowers the tax of other income.
    revenue_amount - operation_amount - replacement_amount - investment_amount
    - tax_rate * (revenue_amount - operation_amount - replacement_amount - depreciation_amount) as cash_amount
from earned
