{# What gold knows of silver sales by name, and what it takes besides. #}

{% macro sales_columns() %}
    {% do return({
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
    }) %}
{% endmacro %}

{# New fields of the contract, for the models that are as wide as silver: staging, intermediate and the wide mart. #}
{% macro new_sales_fields() %}
    {% do return(new_fields('sales', sales_columns(), [
        'sold_at', 'discount_rate', 'customer_key', 'product_key', 'store_key', 'payment_method_key', 'gross_amount',
        'discount_amount', 'net_amount', 'calendar_year', 'calendar_month', 'day_name', 'hour_of_day'
    ])) %}
{% endmacro %}
