{# What gold knows of each table of silver by name: its columns with the narrowest types that gold gives them, those of them
   that may be empty, and the names that models above give to something else. A table that takes new fields by itself says so;
   see docs/schemas.md. #}

{% macro gold_fields(table) %}
    {% do return({
        'sales': {
            'columns': {
                'order_id': 'varchar',
                'store_id': 'varchar',
                'product_id': 'varchar',
                'product_name': 'varchar',
                'category': 'varchar',
                'quantity': 'integer',
                'unit_price': 'decimal(12,2)',
                'total_price': 'decimal(14,2)',
                'sale_timestamp': 'timestamptz',
                'customer_id': 'varchar',
                'payment_method': 'varchar',
                'discount': 'decimal(5,4)',
                'store_location': 'varchar',
                'event_date': 'date'
            },
            'taken': [
                'sold_at', 'discount_rate', 'customer_key', 'product_key', 'store_key', 'payment_method_key',
                'gross_amount', 'discount_amount', 'net_amount', 'calendar_year', 'calendar_month', 'day_name',
                'hour_of_day'
            ]
        },
        'retail': {
            'columns': {
                'line_id': 'varchar',
                'invoice_no': 'varchar',
                'stock_code': 'varchar',
                'description': 'varchar',
                'quantity': 'integer',
                'unit_price': 'decimal(12,2)',
                'invoice_date': 'timestamptz',
                'customer_id': 'varchar',
                'country': 'varchar',
                'is_cancelled': 'boolean',
                'event_date': 'date'
            },
            'nullable': ['description', 'customer_id'],
            'taken': [
                'source_file', 'source_line', 'sold_at', 'customer_key', 'product_key', 'country_key', 'is_service',
                'gross_amount', 'returned_amount', 'net_amount'
            ]
        },
        'orders_batch': {
            'columns': {
                'order_id': 'bigint',
                'status': 'varchar',
                'amount': 'decimal(12,2)',
                'event_date': 'date'
            }
        },
        'market_data': {
            'columns': {
                'source': 'varchar',
                'symbol': 'varchar',
                'event_type': 'varchar',
                'event_id': 'varchar',
                'price': 'decimal(28,10)',
                'volume': 'decimal(28,10)',
                'event_time': 'timestamptz',
                'event_date': 'date'
            },
            'nullable': ['volume']
        },
        'covid_updates': {
            'columns': {
                'report_date': 'date',
                'published_at': 'timestamptz',
                'location': 'varchar',
                'country': 'varchar',
                'province': 'varchar',
                'confirmed': 'bigint',
                'deaths': 'bigint',
                'recovered': 'bigint',
                'places_in_report': 'integer'
            },
            'nullable': ['province', 'confirmed', 'deaths', 'recovered']
        },
        'user_events': {
            'columns': {
                'event_id': 'varchar',
                'user_id': 'varchar',
                'session_id': 'varchar',
                'event_type': 'varchar',
                'revenue': 'decimal(12,2)',
                'event_time': 'timestamptz',
                'event_date': 'date'
            },
            'nullable': ['session_id', 'revenue']
        },
        'customers': {
            'columns': {
                'id': 'bigint',
                'name': 'varchar',
                'email': 'varchar',
                'city': 'varchar',
                'updated_at': 'timestamptz',
                '_deleted': 'boolean',
                '_changed_at': 'timestamptz'
            },
            'nullable': ['city'],
            'taken': ['customer_id', 'customer_key', 'changed_at']
        },
        'history/customers': {
            'columns': {
                'id': 'bigint',
                'city': 'varchar',
                'valid_from': 'timestamptz',
                'valid_to': 'timestamptz',
                'is_version': 'boolean',
                'is_current': 'boolean',
                '_change': 'varchar'
            },
            'nullable': ['city'],
            'taken': ['customer_id', 'customer_key', 'updated_at', 'version_id', 'customer_version_key']
        },
        'orders': {
            'columns': {
                'id': 'bigint',
                'customer_id': 'bigint',
                'amount': 'decimal(12,2)',
                'status': 'varchar',
                'created_at': 'timestamptz',
                'updated_at': 'timestamptz',
                '_deleted': 'boolean',
                '_changed_at': 'timestamptz'
            },
            'taken': ['order_id', 'customer_key', 'is_customer_known', 'changed_at']
        }
    }[table]) %}
{% endmacro %}

{# Fields of the contract that gold does not know by name: models as wide as silver take them as they are, without an edit.
   Personal ones, names that are taken, and new names of what gold knows by the former one are left out; so is every field of
   a table that says nothing of taken names, because none of its models is that wide. #}
{% macro new_fields(table) %}
    {%- set known = gold_fields(table) -%}
    {%- set pin = (silver_plan() or {}).get(table, {}) if execute else {} -%}
    {%- set found = [] -%}
    {%- if 'taken' in known -%}
        {%- for name in pin.get('public', [])
            if name not in known.columns and name not in known.taken and name not in pin.get('renamed', {}).values() -%}
            {%- do found.append(name) -%}
        {%- endfor -%}
    {%- endif -%}
    {% do return(found) %}
{% endmacro %}

{# More columns within a select list, before another one. #}
{% macro also(names, of='') %}
    {%- for name in names %}{{ of ~ '.' if of }}{{ name }}, {% endfor -%}
{% endmacro %}

{# The type of a field: the one that gold declares, or silver's where a contract has widened it. #}
{% macro field_type(table, name) %}
    {%- set pin = (silver_plan() or {}).get(table, {}) if execute else {} -%}
    {%- set held = (pin.get('columns') or {}).get(pin.get('renamed', {}).get(name, name)) -%}
    {% do return(wider(gold_fields(table).columns[name], held)) %}
{% endmacro %}

{# A type that is computed from a field: as much wider than `least` as the field is than gold declares it. #}
{% macro grown(least, table, name) %}
    {%- set declared, held = gold_fields(table).columns[name], field_type(table, name) -%}
    {%- if held == declared -%}
        {% do return(least) %}
    {%- elif decimal_digits(held) is none or decimal_digits(least) is none -%}
        {% do return(wider(least, held)) %}
    {%- endif -%}
    {%- set before, after, own = decimal_digits(declared), decimal_digits(held), decimal_digits(least) -%}
    {% do return(decimal_type(own[0] + after[0] - before[0], [own[1], after[1]] | max)) %}
{% endmacro %}

{# The wider of two types, by the same rules as a contract may widen a field; `least` when they have nothing in common. #}
{% macro wider(least, other) %}
    {%- if least == 'integer' and other in ('bigint', 'double') -%}
        {% do return(other) %}
    {%- elif least == 'bigint' and other == 'double' -%}
        {# The total of a field that became a double. #}
        {% do return(other) %}
    {%- endif -%}
    {%- set one, two = decimal_digits(least), decimal_digits(other or '') -%}
    {%- if one is none or two is none -%}
        {% do return(least) %}
    {%- endif -%}
    {% do return(decimal_type([one[0], two[0]] | max, [one[1], two[1]] | max)) %}
{% endmacro %}

{# Digits before and after the point of decimal(p,s); none for another type. #}
{% macro decimal_digits(type) %}
    {%- set found = modules.re.match('decimal[(]([0-9]+), *([0-9]+)[)]$', type) -%}
    {%- if not found -%}
        {% do return(none) %}
    {%- endif -%}
    {% do return([found.group(1) | int - found.group(2) | int, found.group(2) | int]) %}
{% endmacro %}

{# decimal(p,s) of so many digits before and after the point; digits after it come first where there is no room for all. #}
{% macro decimal_type(whole, scale) %}
    {% do return('decimal(' ~ [38, whole + scale] | min ~ ',' ~ scale ~ ')') %}
{% endmacro %}
