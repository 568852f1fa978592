{# A mart is the copy of its candidate that people read. #}

{% macro publish_candidate(name=none, takes_history=false) -%}
    {#- The rows of `candidate_<x>` for `mart_<x>`, with the columns of the mart's contract in its order. `name` is
        another relation that gate D judges.

        Gate D judges the candidate. The mart is built only after the gate passed: a failed gate leaves it as it was.
        So do the rows of the tenants that a run leaves out: they are taken from the mart, not from the candidate.

        With `takes_history` the run that makes the mart takes all dates: people read the other relation before
        there was the mart. -#}
    {%- set candidate = ref(name or model.name | replace('mart_', 'candidate_', 1)) -%}
    {%- set columns = model.columns.keys() | join(',\n        ') -%}
    {%- set of_range = in_range() if config.get('materialized') == 'incremental' else 'true' -%}
    {%- set left_out = tenants_left_out() -%}
    {#- Asked only where it matters: a compilation without a server cannot answer. -#}
    {%- set asks = execute and flags.INTROSPECT and (left_out or takes_history) -%}
    {%- set is_new = not (asks and load_cached_relation(this) is not none) -%}
    select
        {{ columns }}
    from {{ candidate }}
    where {{ ever() if takes_history and is_new else of_range }}
    {%- if left_out %}
        and (tenant_id not in ({{ left_out }}){% if takes_history and is_new %} or not ({{ of_range }}){% endif %})
    {%- if not is_new %}
    union all
    select
        {{ columns_or_null(this) | join(',\n        ') }}
    from {{ this }}
    where {{ of_range }}
        and tenant_id in ({{ left_out }})
    {%- endif %}
    {%- endif %}
{%- endmacro %}

{% macro columns_or_null(relation) -%}
    {#- The columns of the contract; NULL for those that a table of an earlier release does not have yet. -#}
    {%- set found = adapter.get_columns_in_relation(relation) | map(attribute='name') | list -%}
    {%- set selected = [] -%}
    {%- for name, column in model.columns.items() -%}
        {%- set absent = 'cast(null as ' ~ sql_type(column.data_type) ~ ') as ' ~ name -%}
        {%- do selected.append(name if name in found else absent) -%}
    {%- endfor -%}
    {{ return(selected) }}
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
