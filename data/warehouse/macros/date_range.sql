{#
  The only mechanism that decides what a run rebuilds: [start_date, end_date) from the vars.
  Every read of a partitioned relation has the bounds as literals, so that BigQuery prunes partitions.
#}

{% macro range_bound(name) -%}
    {%- set text = var(name, none) -%}
    {%- if text is none or text | string == '' -%}
        {%- if execute -%}
            {{ exceptions.raise_compiler_error(
                "The var '" ~ name ~ "' is missing: pass --vars '{start_date: 2026-01-01, end_date: 2026-01-02}' "
                ~ "(end_date is exclusive).") }}
        {%- endif -%}
        {{ return('1970-01-01') }}
    {%- endif -%}
    {%- set text = text | string -%}
    {%- if not modules.re.fullmatch('[0-9]{4}-[0-9]{2}-[0-9]{2}', text) -%}
        {{ exceptions.raise_compiler_error(
            "The var '" ~ name ~ "' is '" ~ text ~ "': write an ISO date such as 2026-01-31.") }}
    {%- endif -%}
    {{ return(text) }}
{%- endmacro %}

{% macro in_range(column='reading_date') -%}
    {{ column }} >= date '{{ range_bound("start_date") }}' and {{ column }} < date '{{ range_bound("end_date") }}'
{%- endmacro %}

{% macro range_partitions() -%}
    {#- BigQuery's static partition list: every day of the range, so a day that lost its rows is emptied too. -#}
    {%- set first = modules.datetime.date.fromisoformat(range_bound('start_date')) -%}
    {%- set days = (modules.datetime.date.fromisoformat(range_bound('end_date')) - first).days -%}
    {%- if days < 1 -%}
        {{ exceptions.raise_compiler_error(
            "The range is empty: end_date (exclusive) must be after start_date, they are "
            ~ range_bound('end_date') ~ " and " ~ range_bound('start_date') ~ ".") }}
    {%- endif -%}
    {%- set partitions = [] -%}
    {%- for offset in range(days) -%}
        {%- do partitions.append("date '" ~ (first + modules.datetime.timedelta(days=offset)).isoformat() ~ "'") -%}
    {%- endfor -%}
    {{ return(partitions) }}
{%- endmacro %}

{% macro by_reading_date(has_intervals=false) -%}
    {#- Configure a model that is built only for the days of the run's range and keeps all other days.

        With intervals a scan of all dates costs money, so BigQuery refuses a query without dates. Without them it is
        small, and the previews, lists of values and metrics of BI tools name no dates.

        Here and not in dbt_project.yml, which cannot leave out the tables. A full refresh would keep only the days of
        the range. The dates of the run are not part of the configuration, which is as old as the parse. -#}
    {{ config(
        materialized='incremental',
        partition_by={'field': 'reading_date', 'data_type': 'date', 'granularity': 'day'},
        require_partition_filter=has_intervals and range_filter_required(),
        full_refresh=false,
    ) }}
{%- endmacro %}

{% macro bq_insert_overwrite_sql(
    tmp_relation, target_relation, sql, unique_key, partition_by, partitions, dest_columns, tmp_relation_exists,
    copy_partitions
) -%}
    {#- Replaces the macro of dbt-bigquery, which takes the partitions from the configuration of the model. -#}
    {{ bq_static_insert_overwrite_sql(
        tmp_relation, target_relation, sql, partition_by, range_partitions(), dest_columns, tmp_relation_exists,
        copy_partitions
    ) }}
{%- endmacro %}

{% macro range_filter_required() -%}
    {#- Off only on the emulator, which does not take the partition list in the MERGE of insert_overwrite as a filter. -#}
    {{ return(target.name != 'emulator') }}
{%- endmacro %}

{% macro default__get_where_subquery(relation) -%}
    {#- Tests on partitioned relations are configured with `where: __in_range__`, since yml cannot call macros. -#}
    {%- set where = config.get('where', '') -%}
    {%- if not where -%}
        {%- do return(relation) -%}
    {%- endif -%}
    {#- The range is needed only where it is named: dimensions are tested without one. -#}
    {%- if '__in_range__' in where -%}
        {%- set where = where | replace('__in_range__', in_range()) -%}
    {%- endif -%}
    {%- set filtered -%}
        (select * from {{ relation }} where {{ where }}) dbt_subquery
    {%- endset -%}
    {%- do return(filtered) -%}
{%- endmacro %}

{% macro ever(column='reading_date') -%}
    {#- All dates, for sums over a whole life: only on tables with one row per day and property, never on intervals.
        The dates are literals, so that a statement says which partitions it reads. -#}
    {{ column }} >= date '2000-01-01' and {{ column }} < date '2200-01-01'
{%- endmacro %}
