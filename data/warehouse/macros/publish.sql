{# A mart is the copy of its candidate that people read. #}

{% macro publish_candidate(name=none) -%}
    {#- The rows of `candidate_<x>` for `mart_<x>`, with the columns of the mart's contract in its order. `name` is
        another relation that gate D judges.

        Gate D judges the candidate. The mart is built only after the gate passed: a failed gate leaves it as it was.
        So do the rows of the tenants that a run leaves out: they are taken from the mart, not from the candidate. -#}
    {%- set candidate = ref(name or model.name | replace('mart_', 'candidate_', 1)) -%}
    {%- set columns = model.columns.keys() | join(',\n        ') -%}
    {%- set of_range = in_range() if config.get('materialized') == 'incremental' else 'true' -%}
    {%- set left_out = tenants_left_out() -%}
    select
        {{ columns }}
    from {{ candidate }}
    where {{ of_range }}
    {%- if left_out %}
        and tenant_id not in ({{ left_out }})
    {%- if execute and load_cached_relation(this) is not none %}
    union all
    select
        {{ columns }}
    from {{ this }}
    where {{ of_range }}
        and tenant_id in ({{ left_out }})
    {%- endif %}
    {%- endif %}
{%- endmacro %}

{% macro tenants_left_out() -%}
    {#- The ids in the var `left_out`, as literals. -#}
    {%- set ids = [] -%}
    {%- for id in var('left_out', []) -%}
        {%- if not modules.re.fullmatch('[A-Za-z0-9_/-]+', id | string) -%}
            {{ exceptions.raise_compiler_error("The var 'left_out' has '" ~ id ~ "': write the ids of tenants.") }}
        {%- endif -%}
        {%- do ids.append("'" ~ id ~ "'") -%}
    {%- endfor -%}
    {{ return(ids | join(', ')) }}
{%- endmacro %}
