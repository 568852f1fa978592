{# On PostgreSQL a view belongs to the table that it reads, not to its name: dbt's own way, which swaps tables, would
   drop every view of `bi` when a dimension is built again, and a failed gate would leave readers without them. #}

{% materialization table, adapter='postgres' -%}
    {#- As dbt's own, but an existing table with the same columns keeps its place: its rows are replaced in one transaction,
        and who reads meanwhile sees the former ones. Other columns, or --full-refresh, make a new table. -#}
    {%- set target = this.incorporate(type='table') -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set built = make_intermediate_relation(target) -%}
    {{ drop_relation_if_exists(load_cached_relation(built)) }}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% call statement('main') -%}
        {{ get_create_table_as_sql(False, built, sql) }}
    {%- endcall %}
    {%- if existing is not none and existing.is_table and not should_full_refresh() and has_same_columns(existing, built) %}
        {%- set columns = get_quoted_csv(adapter.get_columns_in_relation(built) | map(attribute='name')) %}
        {% do run_query('delete from ' ~ target) %}
        {% do run_query('insert into ' ~ target ~ ' (' ~ columns ~ ') select ' ~ columns ~ ' from ' ~ built) %}
        {#- By its own name: the cache of this run does not know it. #}
        {% do adapter.drop_relation(built) %}
    {%- else %}
        {% do create_indexes(built) %}
        {{ drop_relation_if_exists(existing) }}
        {{ adapter.rename_relation(built, target) }}
    {%- endif %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do apply_grants(target, config.get('grants'), should_revoke=should_revoke(existing, full_refresh_mode=True)) %}
    {% do persist_docs(target, model) %}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target]}) }}
{%- endmaterialization %}

{% macro has_same_columns(one, other) -%}
    {#- Whether two tables have the same columns with the same types, in any order. -#}
    {%- set found = [] -%}
    {%- for relation in (one, other) -%}
        {%- set columns = [] -%}
        {%- for column in adapter.get_columns_in_relation(relation) -%}
            {%- do columns.append(column.name ~ ' ' ~ column.data_type) -%}
        {%- endfor -%}
        {%- do found.append(columns | sort) -%}
    {%- endfor -%}
    {{ return(found[0] == found[1]) }}
{%- endmacro %}
