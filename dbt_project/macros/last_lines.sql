{# The few rows among which `arg_max(<column>, (<at>, <tie>))` of each key finds the last known value of each column: those of the
   last time at which it was not null. Comparing pairs of time and text for every row would take three times as long.

   relation: a table; key: a column of it, which may be null; at: its time; columns: those asked for. A query in brackets. #}
{% macro last_lines(relation, key, at, columns) -%}
(
    select lines.*
    from {{ relation }} as lines
    semi join (
        select
            {{ key }},
            unnest([
                {%- for column in columns %}max({{ at }}) filter (where {{ column }} is not null){{ ', ' if not loop.last }}{% endfor -%}
            ]) as last_known_at
        from {{ relation }}
        group by {{ key }}
    ) as moments
        on lines.{{ key }} is not distinct from moments.{{ key }} and lines.{{ at }} = moments.last_known_at
)
{%- endmacro %}
