{#
  Contracts name types as sql_type() does, for both engines. dbt has no macros in yml, so the engine's own names are put
  in where a contract is used: to compare it with the model's SQL, and to create the table.
#}

{% macro with_sql_types(columns) -%}
    {%- set typed = {} -%}
    {%- for name, column in columns.items() -%}
        {%- do typed.update({name: dict(column, data_type=sql_type(column.data_type))}) -%}
    {%- endfor -%}
    {{ return(typed) }}
{%- endmacro %}

{% macro default__get_empty_schema_sql(columns) -%}
    {{ return(dbt.default__get_empty_schema_sql(with_sql_types(columns))) }}
{%- endmacro %}

{% macro default__get_table_columns_and_constraints() -%}
    (
        {{ adapter.render_raw_columns_constraints(raw_columns=with_sql_types(model.columns)) | join(',\n        ') }}
    )
{%- endmacro %}

{% macro postgres__create_table_as(temporary, relation, sql) -%}
    {#- As dbt's own, but a table with a contract is made of its select and constrained then. dbt inserts into an empty
        table, and PostgreSQL does not read in parallel for an INSERT. -#}
    {%- if config.get('contract').enforced -%}
        {{ get_assert_columns_equivalent(sql) }}
    {%- endif -%}
    {%- if temporary or not config.get('contract').enforced %}
        create {{ 'temporary' if temporary }} table {{ relation }} as (
            {{ sql }}
        );
    {%- else %}
        create table {{ relation }} as
        select
        {%- for column in with_sql_types(model.columns).values() %}
            cast({{ column.name }} as {{ column.data_type }}) as {{ column.name }}{{ ',' if not loop.last }}
        {%- endfor %}
        from (
            {{ sql }}
        ) as built;
        {%- set required = [] -%}
        {%- for column in model.columns.values() -%}
            {%- for constraint in column.constraints -%}
                {%- if constraint.type != 'not_null' -%}
                    {{ exceptions.raise_compiler_error(
                        "A column has the constraint " ~ constraint.type ~ ": only not_null is put on tables.") }}
                {%- endif -%}
                {%- do required.append('alter column ' ~ column.name ~ ' set not null') -%}
            {%- endfor -%}
        {%- endfor -%}
        {%- if required %}
            alter table {{ relation }} {{ required | join(', ') }};
        {%- endif -%}
    {%- endif %}
{%- endmacro %}
