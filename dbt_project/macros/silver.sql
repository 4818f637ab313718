{# Everything that knows how gold reads silver: which tables exist, at which version, and which event dates changed.

   `lakehouse gold` passes LAKEHOUSE_DBT_SILVER, a JSON object: stream -> {version, touched}. `version` is the Delta version
   that every model of the build reads; `touched` the event dates whose files changed since the last build, or null for all;
   `columns` what the table has at that version, with types; `public` those of them that the contract has and that are not
   personal; `renamed` former names with today's; `dropped` those that the contract had once; `nullable` those that may be empty.
   A stream that is not in it has no silver table yet. Without the variable (dbt by hand): newest version, all dates.
   Variables are read when SQL is rendered to be run, never while the project is parsed: dbt would parse again what read one
   that has changed. #}

{% macro silver_plan() %}
    {% do return(fromjson(env_var('LAKEHOUSE_DBT_SILVER', 'null')) if execute else none) %}
{% endmacro %}

{# SQL of one silver table (or history) with the columns that gold knows of it, and its new fields; no rows while the table
   does not exist, nulls for a column that it does not have. A column that a contract renamed is read by its new name. `relation`
   is the same table as dbt's source: it is not read, it makes the lineage. #}
{% macro silver_rows(relation, table) %}
    {%- set columns = gold_fields(table).columns %}
    {%- set location = silver_location(table) if execute else none -%}
    {%- if location %}
    {%- set also = new_fields(table) %}
    {%- set pin = (silver_plan() or {}).get(table, {}) %}
    {%- set held = pin.get('columns') %}
    {%- set renamed = pin.get('renamed', {}) %}
    select
        {%- for name in columns %}
        {%- set known = name if held is none or name in held else 'null' %}
        {%- set value = 'coalesce(' ~ renamed[name] ~ ', ' ~ known ~ ')' if name in renamed else known %}
        cast({{ value }} as {{ field_type(table, name) }}) as {{ name }}{{ ',' if not loop.last or also }}
        {%- endfor %}
        {%- for name in also %}
        {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ location }}
    {%- else %}
    select
        {%- for name, type in columns.items() %}
        cast(null as {{ type }}) as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    where false
    {%- endif %}
{% endmacro %}

{# Name of a table in the plan: the stream's for silver, history/<stream> for its history. #}
{% macro silver_table(stream, layer) -%}
    {{ return(stream if layer == 'silver' else layer ~ '/' ~ stream) }}
{%- endmacro %}

{# The table function that reads one silver table, or none while the table does not exist. #}
{% macro silver_location(table) %}
    {% set path = env_var('LAKEHOUSE_DBT_LAKE', '../.lakehouse/lake') ~ '/' ~ ('' if '/' in table else 'silver/') ~ table %}
    {% set plan = silver_plan() %}
    {% if plan is not none %}
        {% if table not in plan %}{% do return(none) %}{% endif %}
        {% do return("delta_scan('" ~ path ~ "', version => " ~ plan[table]['version'] ~ ")") %}
    {% endif %}
    {% set log = run_query("select count(*) from glob('" ~ path ~ "/_delta_log/*.json')") %}
    {% if log.columns[0].values()[0] == 0 %}{% do return(none) %}{% endif %}
    {% do return("delta_scan('" ~ path ~ "')") %}
{% endmacro %}

{# Condition on event_date: the dates to compute anew in this build. #}
{% macro touched(stream) %}
    {%- set plan = silver_plan() -%}
    {%- if plan is none -%}
        true
    {%- elif stream not in plan -%}
        true
    {%- elif plan[stream]['touched'] is none -%}
        true
    {%- elif not plan[stream]['touched'] -%}
        false
    {%- else -%}
        event_date in (
        {%- for day in plan[stream]['touched'] %}date '{{ day }}'{{ ', ' if not loop.last }}{% endfor -%}
        )
    {%- endif -%}
{% endmacro %}

{# Condition on event_date: the dates that a test has to look at. What has not changed since the last build had passed then,
   or that build warned (LAKEHOUSE_DBT_WARNED): then all dates are looked at, so that a warning lasts as long as its cause. #}
{% macro untested(stream) %}
    {%- if env_var('LAKEHOUSE_DBT_WARNED', '') and execute -%}
        true
    {%- else -%}
        {{- touched(stream) -}}
    {%- endif -%}
{% endmacro %}

{# Pre-hook of incremental marts: take the touched dates out, so that appending them again is exact whatever changed. #}
{% macro forget_touched(stream) %}
    {% if is_incremental() %}
        delete from {{ this }} where {{ touched(stream) }}
    {% endif %}
{% endmacro %}
