{# A custom schema is used as it is, so that marts are plain names in `main`: `from sales_daily`. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}
