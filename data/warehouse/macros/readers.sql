{# Who may read which rows of `bi`: the seed `tenant_readers` says it, and each view filters by one of these rules. #}

{% macro for_readers_of(tenant_id) -%}
    {#- The condition that whoever asks may read the rows of this tenant. -#}
    ({{ tenant_id }} in ({{ tenants_of_reader() }}) or {{ for_readers_of_all() }})
{%- endmacro %}

{% macro for_readers_of_all() -%}
    {#- The condition that whoever asks may read the rows of every tenant, and those of none. -#}
    {{ return(adapter.dispatch('for_readers_of_all')()) }}
{%- endmacro %}
{% macro default__for_readers_of_all() -%} '*' in ({{ tenants_of_reader() }}) {%- endmacro %}
{% macro postgres__for_readers_of_all() -%}
    {#- Who may act as the login that built the view may read the tables below it: dbt itself, and a superuser. -#}
    ({{ default__for_readers_of_all() }} or pg_has_role(session_user, '{{ target.user | replace("'", "''") }}', 'member'))
{%- endmacro %}

{% macro tenants_of_reader() -%}
    select readers.tenant_id from {{ ref('tenant_readers') }} as readers where readers.reader in ({{ asking_reader() }})
{%- endmacro %}

{% macro asking_reader() -%}
    {#- The names of whoever asks, as the seed may write them; a view is asked by a person, and read by its owner. -#}
    {{ return(adapter.dispatch('asking_reader')()) }}
{%- endmacro %}
{% macro default__asking_reader() -%}
    {#- An account of this project is also named as the login is on PostgreSQL: `a_b` for `a-b@...`. -#}
    {%- set domain = '@' ~ target.project ~ '.iam.gserviceaccount.com' -%}
    {%- set name = "replace(session_user(), '" ~ domain ~ "', '')" -%}
    lower(session_user()), if(ends_with(session_user(), '{{ domain }}'), replace({{ name }}, '-', '_'), null)
{%- endmacro %}
{% macro postgres__asking_reader() -%} session_user {%- endmacro %}

{% macro refuse_in_bi_without_readers(model) -%}
    {#- Asked of every model, wherever its file is: a schema is readable by every reader. -#}
    {%- if model.config.schema == 'bi' -%}
        {{ refuse_without_readers(model.raw_code, model.config.materialized) }}
    {%- endif -%}
{%- endmacro %}

{% macro refuse_without_readers(raw_code, materialized='view') -%}
    {#- A relation of `bi` without a rule would show every tenant to every reader. So it is a view, since a table keeps
        the rows that dbt may read, and its whole code is one SELECT whose last words are the rule: a rule in a comment,
        in one branch of a union or before an OR lets other rows through. -#}
    {%- set code = modules.re.sub('(?s)[{]#.*?#[}]|/[*].*?[*]/|--[^\\n]*', '', raw_code) -%}
    {%- set rule = "\\swhere [{][{] for_readers_of([(]'([a-z_]+[.])?tenant_id'[)]|_all[(][)]) [}][}]\\s*$" -%}
    {%- set rest = namespace(code=modules.re.sub(rule, '', code)) -%}
    {%- set has_rule = rest.code != code -%}
    {%- for _ in range(50) -%}
        {%- set rest.code = modules.re.sub('[(][^()]*[)]', '', rest.code) -%}
    {%- endfor -%}
    {%- if not has_rule or modules.re.search('(?i)\\b(union|except|intersect|limit|where)\\b', rest.code) -%}
        {{ exceptions.raise_compiler_error(
            "The view says not who may read its rows: end it with `where {{ for_readers_of('...tenant_id') }}`, or with "
            ~ "`where {{ for_readers_of_all() }}` for rows of no tenant. Other conditions and unions go into an "
            ~ "expression before it.") }}
    {%- endif -%}
    {%- if materialized != 'view' -%}
        {{ exceptions.raise_compiler_error(
            "What is in `bi` is a view, and not '" ~ materialized ~ "': a table has the rows that dbt may read, for "
            ~ "every reader.") }}
    {%- endif -%}
{%- endmacro %}

{% macro filter_before_functions() -%}
    {#- Otherwise a function in a reader's query may see rows that the view leaves out. BigQuery has no such functions. -#}
    {{ return('alter view ' ~ this ~ ' set (security_barrier = true)' if target.type == 'postgres' else '') }}
{%- endmacro %}
