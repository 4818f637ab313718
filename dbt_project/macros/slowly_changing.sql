{# Slowly changing dimensions, types 0 to 6, as queries over what was seen of a thing: one row per key and time.

   relation: a table or query in brackets; key: its business key; at: when the row was seen (unique per key);
   columns: the attributes. Rows that look like the one before them are no change. See docs/modelling.md. #}

{# Type 0, keep the original: each key with what it looked like first. #}
{% macro scd_type_0(relation, key, at, columns) -%}
    select
        {{ key }}
        {%- for column in columns %},
        arg_min_null({{ column }}, {{ at }}) as {{ column }}
        {%- endfor %}
    from {{ relation }}
    group by {{ key }}
{%- endmacro %}

{# Type 1, overwrite: each key with what it looks like now. #}
{% macro scd_type_1(relation, key, at, columns) -%}
    select
        {{ key }}
        {%- for column in columns %},
        arg_max_null({{ column }}, {{ at }}) as {{ column }}
        {%- endfor %}
    from {{ relation }}
    group by {{ key }}
{%- endmacro %}

{# The rows that differ from the one before them. A null is a value of its own. #}
{% macro scd_changes(relation, key, at, columns) -%}
    select
        {{ key }},
        {{ at }}
        {%- for column in columns %},
        {{ column }}
        {%- endfor %}
    from {{ relation }}
    qualify
        row_number() over (partition by {{ key }} order by {{ at }}) = 1
        {%- for column in columns %}
        or {{ column }} is distinct from lag({{ column }}) over (partition by {{ key }} order by {{ at }})
        {%- endfor %}
{%- endmacro %}

{# Type 2, a row per version: valid_from <= moment < valid_to; valid_to is null for the current one. #}
{% macro scd_type_2(relation, key, at, columns) -%}
    select
        {{ key }}
        {%- for column in columns %},
        {{ column }}
        {%- endfor %},
        {{ at }} as valid_from,
        lead({{ at }}) over (partition by {{ key }} order by {{ at }}) as valid_to,
        lead({{ at }}) over (partition by {{ key }} order by {{ at }}) is null as is_current
    from ({{ scd_changes(relation, key, at, columns) }})
{%- endmacro %}

{# Type 3, the value before in a column of its own: <column> and previous_<column>, null when it never changed. #}
{% macro scd_type_3(relation, key, at, columns) -%}
    select
        {{ key }}
        {%- for column in columns %},
        arg_max_null({{ column }}, {{ at }}) as {{ column }},
        arg_max_null(_before_{{ loop.index }}, {{ at }}) filter (where _changed_{{ loop.index }}) as previous_{{ column }}
        {%- endfor %}
    from (
        select
            *
            {%- for column in columns %},
            lag({{ column }}) over (partition by {{ key }} order by {{ at }}) as _before_{{ loop.index }},
            row_number() over (partition by {{ key }} order by {{ at }}) > 1
            and {{ column }} is distinct from lag({{ column }}) over (partition by {{ key }} order by {{ at }})
                as _changed_{{ loop.index }}
            {%- endfor %}
        from {{ relation }}
    )
    group by {{ key }}
{%- endmacro %}

{# Type 4, a history table beside the current one (which is type 1): the versions that are over. #}
{% macro scd_type_4_history(relation, key, at, columns) -%}
    select * exclude (is_current)
    from ({{ scd_type_2(relation, key, at, columns) }})
    where not is_current
{%- endmacro %}

{# Type 5, a mini-dimension (each combination of attributes once) and, per key, which one is the current: types 4 and 1. #}
{% macro scd_type_5_mini_dimension(relation, columns) -%}
    select distinct
        md5(concat_ws('|'
        {%- for column in columns %}, coalesce(cast({{ column }} as varchar), ''){% endfor %})) as profile_key
        {%- for column in columns %},
        {{ column }}
        {%- endfor %}
    from {{ relation }}
{%- endmacro %}

{% macro scd_type_5_current(relation, key, at, columns) -%}
    select
        {{ key }},
        md5(concat_ws('|'
        {%- for column in columns %}, coalesce(cast({{ column }} as varchar), ''){% endfor %})) as current_profile_key
    from ({{ scd_type_1(relation, key, at, columns) }})
{%- endmacro %}

{# Type 6 (1 + 2 + 3), versions that also carry today's value: <column> as it was, current_<column> as it is. #}
{% macro scd_type_6(relation, key, at, columns) -%}
    select
        versions.*
        {%- for column in columns %},
        today.{{ column }} as current_{{ column }}
        {%- endfor %}
    from ({{ scd_type_2(relation, key, at, columns) }}) as versions
    inner join ({{ scd_type_1(relation, key, at, columns) }}) as today on versions.{{ key }} = today.{{ key }}
{%- endmacro %}
