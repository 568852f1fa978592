{# All differences between BigQuery and PostgreSQL. `default__` is BigQuery, `postgres__` the embedded engine. #}

{# -- types -------------------------------------------------------------------------------------------- #}

{% macro sql_type(name) -%}
    {#- The engine's name of a type, as models and contracts write it: string, integer, float, boolean, date, timestamp
        (an instant), datetime (a wall clock) or numeric(precision,scale). A table of BigQuery has NUMERIC alone. -#}
    {%- set known = ['string', 'integer', 'float', 'boolean', 'date', 'timestamp', 'datetime'] -%}
    {%- if name not in known and not modules.re.fullmatch('numeric[(][0-9]+,[0-9]+[)]', name | string) -%}
        {{ exceptions.raise_compiler_error(
            "The type '" ~ name ~ "' is unknown: write " ~ known | join(', ') ~ " or numeric(precision,scale).") }}
    {%- endif -%}
    {{ return(adapter.dispatch('sql_type')(name)) }}
{%- endmacro %}
{% macro default__sql_type(name) -%}
    {%- set names = {'integer': 'int64', 'float': 'float64', 'boolean': 'bool'} -%}
    {{ return('numeric' if name.startswith('numeric') else names.get(name, name)) }}
{%- endmacro %}
{% macro postgres__sql_type(name) -%}
    {%- set names = {
        'string': 'text', 'integer': 'bigint', 'float': 'double precision',
        'timestamp': 'timestamptz', 'datetime': 'timestamp'
    } -%}
    {{ return(names.get(name, name)) }}
{%- endmacro %}

{# -- decimals: BigQuery gives a product of NUMERICs a wider type, so every result is cast back. Its casts take no
      precision: NUMERIC is (38, 9), and a shorter scale is rounded, half away from zero as in PostgreSQL. -- #}

{% macro as_decimal(expression, precision, scale) -%}
    {{ return(adapter.dispatch('as_decimal')(expression, precision, scale)) }}
{%- endmacro %}
{% macro default__as_decimal(expression, precision, scale) -%}
    {%- if scale == 9 -%} cast({{ expression }} as numeric)
    {%- else -%} round(cast({{ expression }} as numeric), {{ scale }})
    {%- endif -%}
{%- endmacro %}
{% macro postgres__as_decimal(expression, precision, scale) -%}
    cast({{ expression }} as numeric({{ precision }}, {{ scale }}))
{%- endmacro %}

{% macro as_energy(expression) -%} {{ return(as_decimal(expression, 20, 9)) }} {%- endmacro %}

{% macro as_pct(expression) -%} {{ return(as_decimal(expression, 9, 4)) }} {%- endmacro %}

{% macro divide(numerator, denominator) -%}
    {#- NULL where the denominator is 0 or NULL. Rounded to nine places, half away from zero, on both engines. -#}
    {{ return(adapter.dispatch('divide')(numerator, denominator)) }}
{%- endmacro %}
{% macro default__divide(numerator, denominator) -%}
    cast(cast({{ numerator }} as numeric) / nullif(cast({{ denominator }} as numeric), 0) as numeric)
{%- endmacro %}
{% macro postgres__divide(numerator, denominator) -%}
    cast(cast({{ numerator }} as numeric) / nullif(cast({{ denominator }} as numeric), 0) as numeric(38, 9))
{%- endmacro %}

{% macro share_pct(part, whole) -%}
    {{ as_pct(divide('100 * (' ~ part ~ ')', whole)) }}
{%- endmacro %}

{% macro hash_joins_alone() -%}
    {#- Models join computed rows. PostgreSQL estimates one row for each side and would compare all rows with all rows,
        or merge them by tenant only: minutes instead of seconds. dbt does not run an empty hook, as on BigQuery. -#}
    {%- set others_off = 'set local enable_nestloop = off; set local enable_mergejoin = off' -%}
    {{ return(others_off if target.type == 'postgres' else '') }}
{%- endmacro %}

{% macro joins_as_written() -%}
    {#- The same estimates would join what holds for a day to each of its intervals, and sort rows to add them up. -#}
    {%- set as_written = 'set local join_collapse_limit = 1; set local enable_sort = off' -%}
    {{ return(as_written if target.type == 'postgres' else '') }}
{%- endmacro %}

{# -- lists --------------------------------------------------------------------------------------------- #}

{% macro list_item(list, place) -%}
    {#- The text at a place, from 1, of a text with commas between its items; NULL beyond its end. -#}
    {{ return(adapter.dispatch('list_item')(list, place)) }}
{%- endmacro %}
{% macro default__list_item(list, place) -%} split({{ list }}, ',')[safe_ordinal({{ place }})] {%- endmacro %}
{% macro postgres__list_item(list, place) -%}
    nullif(split_part({{ list }}, ',', cast({{ place }} as integer)), '')
{%- endmacro %}

{# -- keys ----------------------------------------------------------------------------------------------- #}

{% macro surrogate_key(columns) -%}
    {#- Hexadecimal md5 of the columns' texts, joined by '|'; equal on both engines. For rows of facts, of which there
        may be billions. -#}
    {%- set parts = [] -%}
    {%- for column in columns -%}
        {%- do parts.append("coalesce(cast(" ~ column ~ " as " ~ sql_type('string') ~ "), '')") -%}
    {%- endfor -%}
    {{ return(dbt.hash(parts | join(" || '|' || "))) }}
{%- endmacro %}

{% macro dimension_key(columns) -%}
    {#- A whole number from 0 to 2^60 - 1 for a row of a dimension, since facts repeat it; equal on both engines and in
        every build. Of a million rows two have the same key once in two million dimensions: `unique` on the key then
        fails the build. -#}
    {{ return(first_60_bits(surrogate_key(columns))) }}
{%- endmacro %}

{% macro first_60_bits(digits) -%}
    {#- The whole number of the first fifteen hexadecimal digits of a text. -#}
    {{ return(adapter.dispatch('first_60_bits')(digits)) }}
{%- endmacro %}
{% macro default__first_60_bits(digits) -%} cast(concat('0x', substr({{ digits }}, 1, 15)) as int64) {%- endmacro %}
{% macro postgres__first_60_bits(digits) -%}
    cast(cast('x' || substr({{ digits }}, 1, 15) as bit(60)) as bigint)
{%- endmacro %}

{# -- time ----------------------------------------------------------------------------------------------- #}

{% macro local_timestamp(instant, zone) -%}
    {#- Wall-clock time of an instant in an IANA zone, as a type without zone. -#}
    {{ return(adapter.dispatch('local_timestamp')(instant, zone)) }}
{%- endmacro %}
{#- Not datetime(instant, zone), which means the same: the emulator accepts a zone from a column only in this form. -#}
{% macro default__local_timestamp(instant, zone) -%}
    extract(datetime from {{ instant }} at time zone {{ zone }})
{%- endmacro %}
{% macro postgres__local_timestamp(instant, zone) -%} ({{ instant }} at time zone {{ zone }}) {%- endmacro %}

{% macro local_date(instant, zone) -%} cast({{ local_timestamp(instant, zone) }} as date) {%- endmacro %}

{% macro local_hour(instant, zone) -%}
    cast(extract(hour from {{ local_timestamp(instant, zone) }}) as {{ sql_type('integer') }})
{%- endmacro %}

{% macro minute_of_day(wall_clock) -%}
    cast(
        extract(hour from {{ wall_clock }}) * 60 + extract(minute from {{ wall_clock }}) as {{ sql_type('integer') }}
    )
{%- endmacro %}

{% macro day_start(day, zone) -%}
    {#- The first instant of a local date. -#}
    {{ return(adapter.dispatch('day_start')(day, zone)) }}
{%- endmacro %}
{#- Not timestamp(day, zone), for the same reason; and not %F, which GoogleSQL can write but not read. -#}
{% macro default__day_start(day, zone) -%} parse_timestamp('%Y-%m-%d', format_date('%Y-%m-%d', {{ day }}), {{ zone }}) {%- endmacro %}
{% macro postgres__day_start(day, zone) -%}
    {#- Where clocks go back at midnight (Havana), 00:00 happens twice and PostgreSQL takes the second. -#}
    (case
        when cast(((cast({{ day }} as timestamp) at time zone {{ zone }}) - interval '1 hour') at time zone {{ zone }} as date)
            = {{ day }}
            then (cast({{ day }} as timestamp) at time zone {{ zone }}) - interval '1 hour'
        else cast({{ day }} as timestamp) at time zone {{ zone }}
    end)
{%- endmacro %}

{% macro day_seconds(day, zone) -%}
    {#- Length of a local date in seconds: 82 800, 86 400 or 90 000 where summer time moves clocks by an hour. -#}
    {{ return(adapter.dispatch('day_seconds')(day, zone)) }}
{%- endmacro %}
{% macro default__day_seconds(day, zone) -%}
    timestamp_diff({{ day_start('date_add(' ~ day ~ ', interval 1 day)', zone) }}, {{ day_start(day, zone) }}, second)
{%- endmacro %}
{% macro postgres__day_seconds(day, zone) -%}
    cast(extract(epoch from ({{ day_start('(' ~ day ~ ' + 1)', zone) }}) - ({{ day_start(day, zone) }})) as bigint)
{%- endmacro %}

{% macro days_between(first, last) -%} {{ return(adapter.dispatch('days_between')(first, last)) }} {%- endmacro %}
{% macro default__days_between(first, last) -%} date_diff({{ last }}, {{ first }}, day) {%- endmacro %}
{% macro postgres__days_between(first, last) -%} cast({{ last }} - {{ first }} as bigint) {%- endmacro %}

{% macro add_days(day, number) -%} {{ return(adapter.dispatch('add_days')(day, number)) }} {%- endmacro %}
{% macro default__add_days(day, number) -%} date_add({{ day }}, interval {{ number }} day) {%- endmacro %}
{% macro postgres__add_days(day, number) -%} ({{ day }} + cast({{ number }} as integer)) {%- endmacro %}

{% macro month_start(day) -%} {{ return(adapter.dispatch('month_start')(day)) }} {%- endmacro %}
{% macro default__month_start(day) -%} date_trunc({{ day }}, month) {%- endmacro %}
{% macro postgres__month_start(day) -%} cast(date_trunc('month', {{ day }}) as date) {%- endmacro %}

{% macro add_months(day, number) -%}
    {#- The same day of a later month, or its last day. -#}
    {{ return(adapter.dispatch('add_months')(day, number)) }}
{%- endmacro %}
{% macro default__add_months(day, number) -%} date_add({{ day }}, interval ({{ number }}) month) {%- endmacro %}
{% macro postgres__add_months(day, number) -%}
    cast({{ day }} + ({{ number }}) * interval '1 month' as date)
{%- endmacro %}

{% macro epoch_seconds(instant) -%} {{ return(adapter.dispatch('epoch_seconds')(instant)) }} {%- endmacro %}
{% macro default__epoch_seconds(instant) -%} unix_seconds({{ instant }}) {%- endmacro %}
{% macro postgres__epoch_seconds(instant) -%} cast(floor(date_part('epoch', {{ instant }})) as bigint) {%- endmacro %}

{% macro epoch_micros(instant) -%} {{ return(adapter.dispatch('epoch_micros')(instant)) }} {%- endmacro %}
{% macro default__epoch_micros(instant) -%} unix_micros({{ instant }}) {%- endmacro %}
{% macro postgres__epoch_micros(instant) -%} cast(extract(epoch from {{ instant }}) * 1000000 as bigint) {%- endmacro %}

{% macro seconds_between(first, last) -%}
    {#- Seconds between two instants, with milliseconds. -#}
    {{ as_decimal(divide(epoch_micros(last) ~ ' - ' ~ epoch_micros(first), '1000000'), 12, 3) }}
{%- endmacro %}

{% macro whole_quotient(dividend, divisor) -%}
    {#- Integer division of non-negative integers; NULL where the divisor is 0 or NULL. -#}
    {{ return(adapter.dispatch('whole_quotient')(dividend, divisor)) }}
{%- endmacro %}
{% macro default__whole_quotient(dividend, divisor) -%} div({{ dividend }}, nullif({{ divisor }}, 0)) {%- endmacro %}
{% macro postgres__whole_quotient(dividend, divisor) -%} (({{ dividend }}) / nullif({{ divisor }}, 0)) {%- endmacro %}

{% macro date_series(first, end) -%}
    {#- One row for each date, column `date_day`, from first (included) to end (excluded); both are ISO dates. -#}
    {{ return(adapter.dispatch('date_series')(first, end)) }}
{%- endmacro %}
{% macro default__date_series(first, end) -%}
    select date_day
    from unnest(generate_date_array(date '{{ first }}', date_sub(date '{{ end }}', interval 1 day))) as date_day
{%- endmacro %}
{% macro postgres__date_series(first, end) -%}
    select cast(generated as date) as date_day
    from generate_series(timestamp '{{ first }}', timestamp '{{ end }}' - interval '1 day', interval '1 day') as generated
{%- endmacro %}

{% macro integer_series(first, end) -%}
    {#- One row for each integer, column `number`, from first (included) to end (excluded). -#}
    {{ return(adapter.dispatch('integer_series')(first, end)) }}
{%- endmacro %}
{% macro default__integer_series(first, end) -%}
    select number
    from unnest(generate_array({{ first }}, {{ end - 1 }})) as number
{%- endmacro %}
{% macro postgres__integer_series(first, end) -%}
    select cast(generated as bigint) as number
    from generate_series({{ first }}, {{ end - 1 }}) as generated
{%- endmacro %}

{% macro iso_day_of_week(day) -%} {{ return(adapter.dispatch('iso_day_of_week')(day)) }} {%- endmacro %}
{% macro default__iso_day_of_week(day) -%} mod(extract(dayofweek from {{ day }}) + 5, 7) + 1 {%- endmacro %}
{% macro postgres__iso_day_of_week(day) -%} cast(extract(isodow from {{ day }}) as bigint) {%- endmacro %}

{% macro date_part_integer(part, day) -%}
    {#- part: year, quarter, month, day; also isoyear, isoweek, dayofyear. -#}
    {{ return(adapter.dispatch('date_part_integer')(part, day)) }}
{%- endmacro %}
{% macro default__date_part_integer(part, day) -%} extract({{ part }} from {{ day }}) {%- endmacro %}
{% macro postgres__date_part_integer(part, day) -%}
    {%- set names = {'isoweek': 'week', 'dayofyear': 'doy'} -%}
    cast(extract({{ names.get(part, part) }} from {{ day }}) as bigint)
{%- endmacro %}

{# -- floating point: only for what models the future (returns), never for what was metered or paid -------- #}

{% macro as_float(expression) -%} cast({{ expression }} as {{ sql_type('float') }}) {%- endmacro %}
