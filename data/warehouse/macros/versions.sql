{# Slowly changing dimensions: their versions from a snapshot, and the version in force at a time. #}

{% macro beginning() -%}
    {#- The first state that a snapshot saw counts for all time before it, so that readings of the past find their
        property. -#}
    cast('1900-01-01 00:00:00+00' as {{ sql_type('timestamp') }})
{%- endmacro %}

{% macro versions(snapshot, ids) -%}
    {#- The rows of a snapshot with valid_from, valid_to (exclusive; NULL for the current version) and is_current. -#}
    select
        *,
        case
            when row_number() over (partition by {{ ids | join(', ') }} order by dbt_valid_from) = 1
                then {{ beginning() }}
            else dbt_valid_from
        end as valid_from,
        dbt_valid_to as valid_to,
        dbt_valid_to is null as is_current
    from {{ ref(snapshot) }}
{%- endmacro %}

{% macro versioned_dimension(snapshot, id, unknown=none) -%}
    {#- A dimension of all versions in a snapshot: its key, then the columns of the model's contract.

        `unknown` gives the unknown member its values by column; the columns that it leaves out are NULL. A fact without
        a property, say, refers to it. Each tenant has its own, so that a join by key stays within the tenant. Without
        `unknown` there is no such member. -#}
    {%- set ids = ['tenant_id', id] | unique | list -%}
    {%- set key = id | replace('_id', '_key') -%}
    {%- set columns = model.columns.values() | rejectattr('name', 'equalto', key) | list -%}
    {%- set names = columns | map(attribute='name') | join(',\n        ') -%}
    with versions as (
        {{ versions(snapshot, ids) }}
    ),

    {% if unknown is not none -%}
    tenants as (
        select distinct tenant_id from {{ ref('stg_oltp__tenants') }}
    ),

    {% endif -%}
    members as (
        select
        {{ names }}
        from versions
        {%- if unknown is not none %}
        union all
        select
        {%- for column in columns %}
            {{ unknown_value(column, id, unknown) }} as {{ column.name }}{{ ',' if not loop.last }}
        {%- endfor %}
        from tenants
        {%- endif %}
    )

    select
        {{ dimension_key(ids + [epoch_micros('valid_from')]) }} as {{ key }},
        {{ names }}
    from members
{%- endmacro %}

{% macro unknown_value(column, id, unknown) -%}
    {#- SQL of a column of the unknown member, which is current and in force at all times. -#}
    {%- set name = column.name -%}
    {%- if name == 'tenant_id' -%} tenant_id
    {%- elif name == id -%} 'unknown'
    {%- elif name == 'valid_from' -%} {{ beginning() }}
    {%- elif name == 'is_current' -%} true
    {%- elif unknown[name] is string -%} '{{ unknown[name] }}'
    {%- elif name in unknown -%} {{ unknown[name] | lower }}
    {%- else -%} cast(null as {{ sql_type(column.data_type) }})
    {%- endif -%}
{%- endmacro %}

{% macro in_force(version, instant) -%}
    {#- Whether a version was in force at an instant. -#}
    {{ version }}.valid_from <= {{ instant }} and ({{ version }}.valid_to is null or {{ version }}.valid_to > {{ instant }})
{%- endmacro %}

{% macro on_date(row, column, first, end) -%}
    {#- Whether a half-open range of local dates contains the date; either end may be NULL. -#}
    {{ column }} >= coalesce({{ row }}.{{ first }}, date '0001-01-01')
    and {{ column }} < coalesce({{ row }}.{{ end }}, date '9999-12-31')
{%- endmacro %}

{% test versions_do_not_overlap(model, columns) %}
{#- Half-open: the next version begins where this one ends, or later if the row was deleted in between. -#}
select
    {{ columns | join(', ') }},
    valid_from
from (
    select
        {{ columns | join(', ') }},
        valid_from,
        valid_to,
        lead(valid_from) over (partition by {{ columns | join(', ') }} order by valid_from) as next_from
    from {{ model }}
) as ordered
where valid_to <= valid_from or (next_from is not null and (valid_to is null or valid_to > next_from))
{% endtest %}
