{#
  Whole numbers divided by largest remainder, as in data/billing/allocation.py: the parts of an interval add up exactly,
  and the order of rows does not decide who gets the last billionth.
#}

{% macro share_out(name, source, total, weight) -%}
    {#- Common table expressions `<name>_weighed`, `<name>_parts` and `<name>`: the rows of `source` with `solar_q`
        increased by their part of `total` in proportion to `weight`, up to `load_q`.

        All are whole numbers (billionths of a kWh, hundred-millionths of a share) in NUMERIC, whose 29 places before
        the point hold the product of any two. `total` and `weight` are SQL on the columns of `source`; `total` is the
        same for all rows of an interval. A row without weight gets nothing; if all have none, nothing is shared out. -#}
    {%- set kept = [
        'tenant_id', 'property_id', 'reading_date', 'interval_number', 'participant_id', 'allocation_method',
        'generation_q', 'total_load_q', 'load_q', 'share_q'
    ] -%}
    {%- set interval = 'partition by tenant_id, property_id, reading_date, interval_number' -%}
    {{ name }}_weighed as (
        select
            {{ kept | join(',\n            ') }},
            solar_q,
            {{ as_quanta(total) }} as total_q,
            {{ as_quanta(weight) }} as weight_q,
            sum({{ as_quanta(weight) }}) over ({{ interval }}) as weights_q
        from {{ source }}
    ),

    -- The quotient is rounded, so its floor may be one too high or too low; the product shows it.
    {{ name }}_quotients as (
        select
            {{ kept | join(',\n            ') }},
            solar_q,
            total_q,
            {{ as_quanta('total_q * weight_q') }} as product_q,
            weights_q,
            {{ as_quanta('floor(' ~ divide('total_q * weight_q', 'weights_q') ~ ')') }} as quotient_q
        from {{ name }}_weighed
    ),

    {{ name }}_parts as (
        select
            {{ kept | join(',\n            ') }},
            solar_q,
            case when weights_q = 0 then 0 else total_q end as total_q,
            product_q,
            weights_q,
            case
                when weights_q = 0 then 0
                when quotient_q * weights_q > product_q then quotient_q - 1
                when (quotient_q + 1) * weights_q <= product_q then quotient_q + 1
                else quotient_q
            end as part_q
        from {{ name }}_quotients
    ),

    {{ name }}_ranked as (
        select
            {{ kept | join(',\n            ') }},
            solar_q,
            part_q,
            total_q - sum(part_q) over ({{ interval }}) as left_q,
            row_number() over ({{ interval }} order by product_q - part_q * weights_q desc, participant_id) as place
        from {{ name }}_parts
    ),

    {{ name }} as (
        select
            {{ kept | join(',\n            ') }},
            {{ as_quanta(
                'least(load_q, solar_q + part_q + case when place <= left_q then 1 else 0 end)'
            ) }} as solar_q
        from {{ name }}_ranked
    )
{%- endmacro %}

{% macro as_quanta(expression) -%}
    {#- Whole number that may be larger than an INT64. -#}
    {{ return(adapter.dispatch('as_quanta')(expression)) }}
{%- endmacro %}
{% macro default__as_quanta(expression) -%} cast({{ expression }} as numeric) {%- endmacro %}
{% macro postgres__as_quanta(expression) -%} cast({{ expression }} as numeric(38, 0)) {%- endmacro %}
