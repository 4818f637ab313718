with source as (
    {{ silver_rows(source('silver', 'sales'), {
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
    }) }}
)

select
    order_id,
    store_id,
    product_id,
    product_name,
    category,
    quantity,
    unit_price,
    total_price,
    customer_id,
    payment_method,
    discount as discount_rate,
    store_location,
    event_date,
    sale_timestamp at time zone 'UTC' as sold_at
from source
