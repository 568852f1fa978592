{#
  Whole numbers divided by largest remainder, as in data/billing/sharing.py: the parts of an interval add up exactly,
  and the order of rows does not decide who gets the last billionth.
#}

{% macro share_out(name, source, total, weight, by_share) -%}
    {#- Common table expressions `<name>_weighed`, `<name>_parts`, `<name>_ranked`, `<name>_given` and `<name>`: the rows
        of `source` with `solar_q` increased by their part of `total` in proportion to `weight`, up to `usable_q`, and
        with the `unused_q` that is left of their interval.

        All are whole numbers (billionths of a kWh, hundred-millionths of a share). `total` and `weight` are SQL on the
        columns of `source`; `total` is the same for all rows of an interval. `by_share` is the condition that weights
        are shares: then each product fits into 64 bits, because a total is first divided by the weights as a whole, and
        shares sum to 10^8. The product of two energies needs NUMERIC. A row without weight gets nothing; if all have
        none, nothing is shared out. -#}
    {%- set kept = columns_of_shares() | join(',\n            ') -%}
    {%- set part = whole_quotient('total_q', 'weights_q') ~ ' * weight_q + '
        ~ whole_quotient('mod(total_q, weights_q) * weight_q', 'weights_q') -%}
    {{ name }}_weighed as (
        select
            {{ kept }},
            solar_q,
            unused_q,
            {{ weight }} as weight_q,
            {{ total }} as total_q,
            {{ sum_of_interval(weight) }} as weights_q
        from {{ source }}
    ),

    {{ name }}_parts as (
        select
            {{ kept }},
            solar_q,
            unused_q,
            case when weights_q = 0 then 0 else total_q end as total_q,
            case
                when weights_q = 0 then 0
                when {{ by_share }} then {{ part }}
                else {{ as_quanta('div(cast(total_q as numeric) * weight_q, cast(weights_q as numeric))') }}
            end as part_q,
            case
                when weights_q = 0 then 0
                when {{ by_share }} then mod(mod(total_q, weights_q) * weight_q, weights_q)
                else {{ as_quanta('mod(cast(total_q as numeric) * weight_q, cast(weights_q as numeric))') }}
            end as remainder_q
        from {{ name }}_weighed
    ),

    {{ name }}_ranked as (
        select
            {{ kept }},
            solar_q,
            unused_q,
            part_q,
            total_q - {{ sum_of_interval('part_q') }} as left_q,
            row_number() over (
                partition by day_number, interval_number
                order by remainder_q desc, participant_number
            ) as place
        from {{ name }}_parts
    ),

    {{ name }}_given as (
        select
            {{ kept }},
            solar_q,
            unused_q,
            least(usable_q - solar_q, part_q + case when place <= left_q then 1 else 0 end) as given_q
        from {{ name }}_ranked
    ),

    {{ name }} as (
        select
            {{ kept }},
            solar_q + given_q as solar_q,
            unused_q - {{ sum_of_interval('given_q') }} as unused_q
        from {{ name }}_given
    )
{%- endmacro %}

{% macro columns_of_shares() -%}
    {#- What each round keeps: little, because each sorts it, and numbers first, because PostgreSQL finds what is behind
        a text by reading the text. -#}
    {{ return([
        'day_number', 'interval_number', 'participant_number', 'usable_q', 'share_q', 'is_dynamic', 'is_hybrid',
        'tenant_id', 'load_kwh', 'estimated_kwh'
    ]) }}
{%- endmacro %}

{% macro is_open() -%}
    {#- Whether a participant takes part in the next round of the hybrid method. -#}
    is_hybrid and unused_q > 0 and solar_q < usable_q and share_q > 0
{%- endmacro %}

{% macro sum_of_interval(expression) -%}
    {{ as_quanta('sum(' ~ expression ~ ') over (partition by day_number, interval_number)') }}
{%- endmacro %}

{% macro as_quanta(expression) -%}
    {#- Whole number of 64 bits: up to 9 billion kWh in billionths. -#}
    cast({{ expression }} as {{ sql_type('integer') }})
{%- endmacro %}

{% macro billionth() -%}
    {#- A decimal, because a literal with a point is a floating-point number on BigQuery. -#}
    cast('0.000000001' as numeric)
{%- endmacro %}
