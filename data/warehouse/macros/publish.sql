{# A mart is the copy of its candidate that people read. #}

{% macro publish_candidate(name=none) -%}
    {#- The rows of `candidate_<x>` for `mart_<x>`, with the columns of the mart's contract in its order. `name` is
        another relation that gate D judges.

        Gate D judges the candidate. The mart is built only after the gate passed: a failed gate leaves it as it was. -#}
    {%- set candidate = ref(name or model.name | replace('mart_', 'candidate_', 1)) -%}
    select
        {{ model.columns.keys() | join(',\n        ') }}
    from {{ candidate }}
    {%- if config.get('materialized') == 'incremental' %}
    where {{ in_range() }}
    {%- endif %}
{%- endmacro %}
