{# Keys of the star: short hashes of business keys, equal wherever they are computed. #}

{% macro surrogate_key(columns) -%}
    md5(concat_ws('|'
    {%- for column in columns %}, coalesce(cast({{ column }} as varchar), ''){% endfor -%}
    ))
{%- endmacro %}

{# Pseudonym of a person: hashed with a key that is kept outside of gold, so that nobody can try all customer numbers. #}
{% macro person_key(column) -%}
    md5('{{ env_var("LAKEHOUSE_DBT_PII_KEY", "") if execute else "" }}' || '|' || {{ column }})
{%- endmacro %}
