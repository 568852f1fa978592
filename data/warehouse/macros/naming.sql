{# The schemas of relations, and the labels of statements. #}

{% macro generate_schema_name(custom_schema_name, node) -%}
    {#- Only the custom name: `core`, not `<target schema>_core`; the prefix separates environments. -#}
    {%- if custom_schema_name == 'bi' and node.resource_type != 'model' -%}
        {{ exceptions.raise_compiler_error(
            node.name ~ " cannot be in `bi`: every reader would see all of it. Let a view read it.") }}
    {%- endif -%}
    {%- if custom_schema_name is none -%}
        {{ target.schema }}
    {%- else -%}
        {{ env_var('MYPROPERTY_DATASET_PREFIX', '') }}{{ custom_schema_name | trim }}
    {%- endif -%}
{%- endmacro %}

{% macro query_labels(node) -%}
    {#- `run` is Dagster's run where there is one: the cost of a statement leads to the run that caused it. -#}
    {%- set run = env_var('MYPROPERTY_RUN_ID', invocation_id) -%}
    {%- set labels = {'app': 'myproperty', 'target': target.name, 'run': run} -%}
    {%- if node is not none and node.name is defined -%}
        {%- do labels.update({'node': node.name | lower, 'kind': node.resource_type | string | lower}) -%}
    {%- endif -%}
    {{ return(tojson(labels)) }}
{%- endmacro %}
