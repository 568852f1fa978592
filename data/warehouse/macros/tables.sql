{# On PostgreSQL a view belongs to the table that it reads, not to its name: dbt's own way, which swaps tables, would
   drop every view of `bi` when a dimension is built again, and a failed gate would leave readers without them. #}

{% materialization table, adapter='postgres' -%}
    {#- As dbt's own, but an existing table keeps its place: its rows are replaced in one transaction, and who reads
        meanwhile sees the former ones. New columns are added to it. A column that is gone or has another type, or
        --full-refresh, makes a new table. -#}
    {%- set target = this.incorporate(type='table') -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set built = make_intermediate_relation(target) -%}
    {{ drop_relation_if_exists(load_cached_relation(built)) }}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% call statement('main') -%}
        {{ get_create_table_as_sql(False, built, sql) }}
    {%- endcall %}
    {%- set keeps = existing is not none and existing.is_table and not should_full_refresh() -%}
    {%- set changes = check_for_schema_changes(built, existing) if keeps else {} -%}
    {%- if keeps and not changes.target_not_in_source and not changes.new_target_types %}
        {%- set columns = get_quoted_csv(changes.source_columns | map(attribute='name')) %}
        {% do add_new_columns(target, changes.source_not_in_target) %}
        {% do run_query('delete from ' ~ target) %}
        {% do run_query('insert into ' ~ target ~ ' (' ~ columns ~ ') select ' ~ columns ~ ' from ' ~ built) %}
        {#- By its own name: the cache of this run does not know it. #}
        {% do adapter.drop_relation(built) %}
    {%- else %}
        {% do create_indexes(built) %}
        {% do count_values(built) %}
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

{% materialization incremental, adapter='postgres' -%}
    {#- A model by reading date, the counterpart of BigQuery's insert_overwrite: the dates of the range are replaced in
        one transaction. dbt's own way writes each row twice, first into a temporary table. Here that table has rows
        only if the model reads the ones that are replaced; it always shows whether columns changed. -#}
    {%- set target = this.incorporate(type='table') -%}
    {%- set existing = load_cached_relation(this) -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- if existing is none %}
        {% call statement('main') -%}
            {{ get_create_table_as_sql(False, target, sql) }}
        {%- endcall %}
        {% do create_indexes(target) %}
        {% do count_values(target) %}
    {%- else %}
        {%- set made = make_temp_relation(target) -%}
        {%- set reads_itself = (this | string) in sql -%}
        {%- set first = sql if reads_itself else 'select * from (' ~ sql ~ ') as built limit 0' -%}
        {% do run_query(get_create_table_as_sql(True, made, first)) %}
        {%- set changed = process_schema_changes(config.get('on_schema_change'), made, existing) -%}
        {%- set columns = get_quoted_csv(
            (changed or adapter.get_columns_in_relation(existing)) | map(attribute='name')) %}
        {% call statement('main') -%}
            delete from {{ target }}
            where {{ in_range() }};

            insert into {{ target }} ({{ columns }})
            select {{ columns }}
            from ({{ 'select * from ' ~ made if reads_itself else sql }}) as built;
        {%- endcall %}
        {% do adapter.drop_relation(made) %}
    {%- endif %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do apply_grants(target, config.get('grants'), should_revoke=should_revoke(existing, full_refresh_mode=False)) %}
    {% do persist_docs(target, model) %}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target]}) }}
{%- endmaterialization %}

{% macro count_values(relation) -%}
    {#- Let PostgreSQL count the values of a new table. The next models read it at once, and without counts their joins
        hash the larger side. -#}
    {% do run_query('analyze ' ~ relation) %}
{%- endmacro %}

{% macro add_new_columns(relation, columns) -%}
    {#- Add the columns and say so. What was built before has NULL in them until its dates are built again. -#}
    {%- if columns %}
        {% do alter_relation_add_remove_columns(relation, columns, none) %}
        {% do log(relation.schema ~ '.' ~ relation.identifier ~ ' has new columns: '
                  ~ columns | map(attribute='name') | join(', '), info=True) %}
    {%- endif %}
{%- endmacro %}

{% macro default__process_schema_changes(on_schema_change, source_relation, target_relation) -%}
    {#- Of a model by reading date, which keeps the dates that a run does not build: a new column is added, and rows
        are converted where this release knows how. Any other change is refused, because the kept dates have the
        former column. -#}
    {%- set changes = check_for_schema_changes(source_relation, target_relation) -%}
    {%- set name = target_relation.schema ~ '.' ~ target_relation.identifier -%}
    {%- set shape = former_shapes().get(target_relation.identifier, {'computed': {}, 'gone': []}) -%}
    {%- set converted = [] -%}
    {%- set refused = [] -%}
    {%- for column in changes.target_not_in_source if column.name in shape.gone -%}
        {%- do converted.append(column.name) -%}
    {%- endfor -%}
    {%- for column in changes.target_not_in_source if column.name not in shape.gone -%}
        {%- do refused.append(column.name ~ ' is in the table and no longer in the model: after its readers moved, '
            ~ '`alter table ' ~ name ~ ' drop column ' ~ column.name ~ '`') -%}
    {%- endfor -%}
    {%- for column in changes.new_target_types if not (converted and column.column_name in shape.computed) -%}
        {%- do refused.append(column.column_name ~ ' is ' ~ column.new_type ~ ' in the model and of another type in '
            ~ 'the table: convert it with `alter table`, or drop the table and build all of its dates, '
            ~ '`myproperty run --from D --to D`') -%}
    {%- endfor -%}
    {%- if refused -%}
        {{ exceptions.raise_compiler_error(name ~ ' was not changed. ' ~ refused | join('. ') ~ '.') }}
    {%- endif -%}
    {%- if converted -%}
        {%- do convert_rows(target_relation, shape) -%}
    {%- else -%}
        {%- do add_new_columns(target_relation, changes.source_not_in_target) -%}
    {%- endif -%}
    {{ return(changes.source_columns) }}
{%- endmacro %}

{% macro bigquery__process_schema_changes(on_schema_change, source_relation, target_relation) -%}
    {%- do set_partition_filter(target_relation) -%}
    {{ return(default__process_schema_changes(on_schema_change, source_relation, target_relation)) }}
{%- endmacro %}
