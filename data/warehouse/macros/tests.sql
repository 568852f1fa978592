{# The project's generic tests; each returns the rows that break its rule. #}

{% macro postgres__get_test_sql(main_sql, fail_calc, warn_if, error_if, limit) -%}
    {#- As dbt's own, after settings that models have in a hook: tests have no hooks. A day has fewer combinations of
        keys than PostgreSQL thinks, and it would sort all intervals to add up a few. -#}
    {{ hash_joins_alone() }}; set local enable_sort = off;
    {{ default__get_test_sql(main_sql, fail_calc, warn_if, error_if, limit) }}
{%- endmacro %}

{% test unique_combination(model, columns) %}
select
    {{ columns | join(', ') }},
    count(*) as copies
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}

{% test relationships_within_tenant(model, column_name, to, field=none) %}
{#- A child without a parent of the same tenant is a leak or a loss. NULL refers to nothing. -#}
{%- set parent_field = field or column_name %}
{#- tenant_id itself may be the child's key; twice in the list it would be ambiguous. -#}
{%- set key = ['tenant_id', column_name] | unique | list %}
select
    child.{{ key | join(', child.') }}
from (
    select distinct {{ key | join(', ') }}
    from {{ model }}
    where {{ column_name }} is not null
) as child
left join {{ to }} as parent
    on child.tenant_id = parent.tenant_id and child.{{ column_name }} = parent.{{ parent_field }}
where parent.tenant_id is null
{% endtest %}

{% test not_negative(model, column_name) %}
select {{ column_name }}
from {{ model }}
where {{ column_name }} < 0
{% endtest %}

{% test known_currency(model, column_name) %}
select stated.{{ column_name }}
from (
    select distinct {{ column_name }}
    from {{ model }}
    where {{ column_name }} is not null
) as stated
left join {{ ref('currencies') }} as known
    on stated.{{ column_name }} = known.currency
where known.currency is null
{% endtest %}
