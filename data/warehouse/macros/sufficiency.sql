{# VEE "sufficiency": whether enough intervals of a day are present to give a figure. #}

{% macro is_sufficient(actual, expected) -%}
    ({{ expected }} - {{ actual }}) * 100 <= {{ expected }} * {{ var('max_missing_share_pct') | int }}
{%- endmacro %}
