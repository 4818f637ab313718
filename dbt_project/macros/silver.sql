{# Everything that knows how gold reads silver: which tables exist, at which version, and which event dates changed.

   `lakehouse gold` passes LAKEHOUSE_DBT_SILVER, a JSON object: stream -> {version, touched}. `version` is the Delta version
   that every model of the build reads; `touched` the event dates whose files changed since the last build, or null for all;
   `columns` what the table has at that version, `public` those of them that the contract has and that are not personal.
   A stream that is not in it has no silver table yet. Without the variable (dbt by hand): newest version, all dates. #}

{% macro silver_plan() %}
    {% do return(fromjson(env_var('LAKEHOUSE_DBT_SILVER', 'null'))) %}
{% endmacro %}

{# SQL of one silver table (or history) with these columns ({name: DuckDB type}), and with `also`; no rows while the table does
   not exist, nulls for a column that it does not have. #}
{% macro silver_rows(relation, columns, also=[]) %}
    {%- set location = silver_location(relation.identifier, relation.schema) if execute else none -%}
    {%- if location %}
    {%- set table = silver_table(relation.identifier, relation.schema) %}
    {%- set held = (silver_plan() or {}).get(table, {}).get('columns') %}
    select
        {%- for name, type in columns.items() %}
        cast({{ name if held is none or name in held else 'null' }} as {{ type }}) as {{ name }}{{ ',' if not loop.last or also }}
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

{# Fields that the contract has and these columns have not: gold takes them as they are, without an edit. Personal ones and
   names that are taken are left out. #}
{% macro new_fields(stream, columns, taken=[]) %}
    {%- set public = (silver_plan() or {}).get(stream, {}).get('public', []) if execute else [] -%}
    {%- set found = [] -%}
    {%- for name in public if name not in columns and name not in taken -%}
        {%- do found.append(name) -%}
    {%- endfor -%}
    {% do return(found) %}
{% endmacro %}

{# More columns within a select list, before another one. #}
{% macro also(names) %}
    {%- for name in names %}{{ name }}, {% endfor -%}
{% endmacro %}

{# Name of a table in the plan: the stream's for silver, history/<stream> for its history. #}
{% macro silver_table(stream, layer) -%}
    {{ return(stream if layer == 'silver' else layer ~ '/' ~ stream) }}
{%- endmacro %}

{# The table function that reads one silver table, or none while the table does not exist. #}
{% macro silver_location(stream, layer) %}
    {% set path = env_var('LAKEHOUSE_DBT_LAKE', '../.lakehouse/lake') ~ '/' ~ layer ~ '/' ~ stream %}
    {% set table = silver_table(stream, layer) %}
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

{# Pre-hook of incremental marts: take the touched dates out, so that appending them again is exact whatever changed. #}
{% macro forget_touched(stream) %}
    {% if is_incremental() %}
        delete from {{ this }} where {{ touched(stream) }}
    {% endif %}
{% endmacro %}
