{# The enforced contracts of the marts, while the contract of a stream below them has moved on. #}

{# dbt calls this before it creates a table with an enforced contract: compare what the query gives with what the YAML says.
   Here the YAML is first brought to what a compatible change of a stream made of it, so that the change reaches gold by itself
   and every other difference is refused as before. `model` is dbt's own copy for this run. #}
{% macro duckdb__get_assert_columns_equivalent(sql) %}
    {%- set tables = silver_below(model.unique_id) | unique | list -%}
    {%- set new, empty = [], [] -%}
    {%- for table in tables -%}
        {%- do new.extend(new_fields(table)) -%}
        {%- do empty.extend(dropped_fields(table)) -%}
        {%- do empty.extend(relaxed_fields(table)) -%}
    {%- endfor -%}
    {%- for column in get_column_schema_from_query(sql, none) -%}
        {%- set promised = model['columns'].get(column.name) -%}
        {%- set type = column.data_type | lower -%}
        {%- if promised -%}
            {%- do promised.update({'data_type': wider(promised['data_type'], type)}) -%}
        {%- elif column.name in new -%}
            {%- do model['columns'].update(
                {column.name: {'name': column.name, 'data_type': type, 'constraints': []}}
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if empty -%}
        {# Rows written since may have no value; which columns are made of the field is not known here. Silver requires the rest. #}
        {%- for column in model['columns'].values() -%}
            {%- do column.update(
                {'constraints': column['constraints'] | rejectattr('type', 'equalto', 'not_null') | list}
            ) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(assert_columns_equivalent(sql)) }}
{% endmacro %}

{# The tables of silver that a model is made of, directly or through others. #}
{% macro silver_below(unique_id) %}
    {%- set found = [] -%}
    {%- if unique_id in graph.sources -%}
        {%- set source = graph.sources[unique_id] -%}
        {%- do found.append(silver_table(source.identifier, source.schema)) -%}
    {%- else -%}
        {%- for parent in graph.nodes[unique_id].depends_on.nodes -%}
            {%- do found.extend(silver_below(parent)) -%}
        {%- endfor -%}
    {%- endif -%}
    {% do return(found) %}
{% endmacro %}

{# Fields that gold reads and the contract has no more; their columns stay, without values in newer rows. #}
{% macro dropped_fields(table) %}
    {%- set known = gold_fields(table).columns -%}
    {%- set found = [] -%}
    {%- for name in (silver_plan() or {}).get(table, {}).get('dropped', []) if name in known -%}
        {%- do found.append(name) -%}
    {%- endfor -%}
    {% do return(found) %}
{% endmacro %}

{# Fields that the contract lets be empty since gold was written: by its own name of each. #}
{% macro relaxed_fields(table) %}
    {%- set known = gold_fields(table) -%}
    {%- set pin = (silver_plan() or {}).get(table, {}) -%}
    {%- set found = [] -%}
    {%- for name in known.columns if name not in known.get('nullable', [])
        and pin.get('renamed', {}).get(name, name) in pin.get('nullable', []) -%}
        {%- do found.append(name) -%}
    {%- endfor -%}
    {% do return(found) %}
{% endmacro %}

{# Pre-hook of a snapshot, which dbt never builds anew: its column gets the type of the field that it keeps. #}
{% macro widen_column(column, table, field) %}
    {%- set relation = load_relation(this) if execute else none -%}
    {%- for held in (adapter.get_columns_in_relation(relation) if relation else []) if held.name == column -%}
        {%- set type = wider(held.data_type | lower, field_type(table, field)) -%}
        {%- if type != held.data_type | lower %}
            alter table {{ this }} alter column {{ column }} type {{ type }}
        {%- endif -%}
    {%- endfor -%}
{% endmacro %}
