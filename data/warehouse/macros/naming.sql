{# Where relations live and what a statement says of itself. #}

{% macro generate_schema_name(custom_schema_name, node) -%}
    {#- The custom name alone: `core`, not `<target schema>_core`; the prefix keeps environments apart. -#}
    {%- if custom_schema_name is none -%}
        {{ target.schema }}
    {%- else -%}
        {{ env_var('MYPROPERTY_DATASET_PREFIX', '') }}{{ custom_schema_name | trim }}
    {%- endif -%}
{%- endmacro %}

{% macro query_labels(node) -%}
    {#- The run is Dagster's, where it has one: a statement's cost leads to the run that caused it. -#}
    {%- set run = env_var('MYPROPERTY_RUN_ID', invocation_id) -%}
    {%- set labels = {'app': 'myproperty', 'target': target.name, 'run': run} -%}
    {%- if node is not none and node.name is defined -%}
        {%- do labels.update({'node': node.name | lower, 'kind': node.resource_type | string | lower}) -%}
    {%- endif -%}
    {{ return(tojson(labels)) }}
{%- endmacro %}
