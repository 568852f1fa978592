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
