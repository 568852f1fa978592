{# VEE "sufficiency": may a day's figure be given, with these intervals present? #}

{% macro is_sufficient(actual, expected) -%}
    ({{ expected }} - {{ actual }}) * 100 <= {{ expected }} * {{ var('max_missing_share_pct') | int }}
{%- endmacro %}
