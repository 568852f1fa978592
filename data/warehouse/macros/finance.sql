{#
  The internal rate of return, which neither engine has: the root of the net present value, by a search of fixed depth.
#}

{% macro irr_steps(flows, keys) -%}
    {#- Common table expressions irr_0 to irr_10, then `irr` with the columns of `keys` and `irr`. Put them after `with`.

        `flows` has the columns of `keys`, year_number, cash and lowest_rate (float), one row for each year. The bracket of
        16 from lowest_rate on is cut into 16 parts ten times, which leaves 1.5e-11: the result is exact to eight places.
        A flow whose present value does not change its sign in the bracket has no row. The caller makes sure that there
        is only one root in it. -#}
    {%- set columns = keys | join(', ') -%}
    irr_points as (
        {{ integer_series(0, 17) }}
    ),

    irr_0 as (
        select distinct
            {{ columns }},
            lowest_rate as low,
            {{ as_float('1') }} as width
        from {{ flows }}
    ),
    {% for step in range(1, 11) %}
    irr_{{ step }}_values as (
        select
            {% for key in keys %}irr_{{ step - 1 }}.{{ key }},
            {% endfor -%}
            irr_{{ step - 1 }}.low as bottom,
            irr_{{ step - 1 }}.width as part,
            irr_points.number,
            sum({{ flows }}.cash / power(
                1 + irr_{{ step - 1 }}.low + irr_points.number * irr_{{ step - 1 }}.width,
                {{ as_float(flows ~ '.year_number') }}
            )) as present_value
        from irr_{{ step - 1 }}
        cross join irr_points
        inner join {{ flows }}
            on
                {% for key in keys %}{{ 'and ' if not loop.first }}irr_{{ step - 1 }}.{{ key }} = {{ flows }}.{{ key }}
                {% endfor %}
        group by
            {% for key in keys %}irr_{{ step - 1 }}.{{ key }},
            {% endfor -%}
            irr_{{ step - 1 }}.low,
            irr_{{ step - 1 }}.width,
            irr_points.number
    ),

    irr_{{ step }} as (
        select
            {{ columns }},
            bottom + (sum(case when present_value >= 0 then 1 else 0 end) - 1) * part as low,
            part / 16 as width
        from irr_{{ step }}_values
        group by {{ columns }}, bottom, part
        having sum(case when present_value >= 0 then 1 else 0 end) between 1 and 16
    ),
    {% endfor %}
    irr as (
        select
            {{ columns }},
            low + 8 * width as irr
        from irr_10
    )
{%- endmacro %}
