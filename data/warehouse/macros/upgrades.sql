{# How a release changes tables by reading date that hold rows in the shape of the release before. #}

{% macro former_shapes() -%}
    {#- Of a model: the columns that it computes from former ones, each with the former column and SQL, and the columns
        that it no longer has. 0.2.0 had keys of text, and beside them what the dimensions hold. -#}
    {{ return({
        'fact_energy_usage': {
            'computed': {
                'property_key': ('property_key', first_60_bits('property_key')),
                'unit_key': ('unit_key', first_60_bits('unit_key')),
                'meter_key': ('meter_key', first_60_bits('meter_key')),
                'rate_plan_key': ('rate_plan_key', first_60_bits('rate_plan_key')),
                'rate_plan_band_key': ('rate_plan_band_id', key_if_known('rate_plan_band_id', ['tenant_id'])),
                'tenancy_key': ('tenancy_id', key_if_known('tenancy_id', ['tenant_id'])),
                'emission_factor_key': ('emission_factor_id', key_if_known('emission_factor_id', [])),
            },
            'gone': [
                'property_id', 'unit_id', 'tenancy_id', 'meter_id', 'rate_plan_id', 'rate_plan_band_id',
                'emission_factor_id', 'local_date', 'tariff_band', 'currency', 'unit_amount', 'tax_rate',
                'kg_co2e_per_kwh', 'day_completeness_pct', 'is_day_complete',
            ],
        },
        'int_allocation__intervals': {'computed': {}, 'gone': ['tenancy_id']},
    }) }}
{%- endmacro %}

{% macro key_if_known(id, parents) -%}
    case when {{ id }} is not null then {{ dimension_key(parents + [id]) }} end
{%- endmacro %}

{% macro rows_of_former_shape(relation, shape) -%}
    {#- The rows of a table in the columns of its model; NULL in columns that it does not have yet. -#}
    {%- set held = adapter.get_columns_in_relation(relation) | map(attribute='name') | list -%}
    select
    {%- for column in model.columns.values() %}
        {%- set former, computed = shape.computed.get(column.name, (none, none)) %}
        {% if former in held -%} {{ computed }}
        {%- elif column.name in held -%} {{ column.name }}
        {%- else -%} cast(null as {{ sql_type(column.data_type) }})
        {%- endif %} as {{ column.name }}{{ ',' if not loop.last }}
    {%- endfor %}
    from {{ relation }}
    where {{ ever() }}
{%- endmacro %}

{% macro convert_rows(relation, shape) -%}
    {#- Replace the table by one of its rows in the columns of its model. -#}
    {%- set built = make_intermediate_relation(relation.incorporate(type='table'), '__converted') -%}
    {%- do drop_relation_if_exists(load_relation(built)) -%}
    {%- do run_query(get_create_table_as_sql(False, built, rows_of_former_shape(relation, shape))) -%}
    {%- do create_indexes(built) -%}
    {%- do swap_tables(built, relation) -%}
    {%- do log(relation.schema ~ '.' ~ relation.identifier ~ ' has the columns of this release', info=True) -%}
{%- endmacro %}

{% macro swap_tables(built, relation) -%} {{ return(adapter.dispatch('swap_tables')(built, relation)) }} {%- endmacro %}
{% macro default__swap_tables(built, relation) -%}
    {#- One job: BigQuery does not replace a table by one with other clustering, and has no transaction for tables. -#}
    {%- do run_query('drop table ' ~ relation ~ '; alter table ' ~ built ~ ' rename to ' ~ relation.identifier) -%}
{%- endmacro %}
{% macro postgres__swap_tables(built, relation) -%}
    {%- do adapter.drop_relation(relation) -%}
    {%- do adapter.rename_relation(built, relation) -%}
{%- endmacro %}

{% macro set_partition_filter(relation) -%}
    {#- Let BigQuery ask for a filter on the dates of an existing table as its model says: 0.2.0 asked for one on each
        table by reading date. No row is read or written. -#}
    {%- set wanted = config.get('require_partition_filter', false) -%}
    {%- if (adapter.get_bq_table(relation).require_partition_filter or false) != wanted -%}
        {%- do run_query('alter table ' ~ relation ~ ' set options (require_partition_filter = ' ~ wanted | lower ~ ')')
            -%}
        {%- do log(relation.schema ~ '.' ~ relation.identifier ~ (' asks for' if wanted else ' no longer asks for')
                   ~ ' a filter on its dates', info=True) -%}
    {%- endif -%}
{%- endmacro %}
