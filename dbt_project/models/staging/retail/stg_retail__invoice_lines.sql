with source as (
    {{ silver_rows(source('silver', 'retail'), {
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
    }) }}
)

select
    line_id,
    invoice_no,
    stock_code,
    description,
    quantity,
    unit_price,
    customer_id,
    country,
    is_cancelled,
    event_date,
    invoice_date at time zone 'UTC' as sold_at
from source
