{# A seed that exists gets the rows of its file at once. dbt's own way is to drop it first: readers would find no seed for
   a while, and on PostgreSQL the views on it would go with it. #}

{% macro postgres__reset_csv_table(model, full_refresh, old_relation, agate_table) -%}
    {#- Until the end of the transaction readers see the former rows. Other columns make a new table. -#}
    {%- set found = {} -%}
    {%- for column in adapter.get_columns_in_relation(old_relation) -%}
        {%- do found.update({column.name: column.data_type}) -%}
    {%- endfor -%}
    {%- if found != model.config.column_types -%}
        {{ adapter.drop_relation(old_relation) }}
        {{ return(create_csv_table(model, agate_table)) }}
    {%- endif -%}
    {%- set emptied = 'delete from ' ~ old_relation -%}
    {%- do run_query(emptied) -%}
    {{ return(emptied) }}
{%- endmacro %}

{% macro bigquery__reset_csv_table(model, full_refresh, old_relation, agate_table) -%}
    {#- The load job replaces the table; there is none for a file without rows. -#}
    {{ return('' if agate_table.rows else adapter.truncate_relation(old_relation)) }}
{%- endmacro %}
