with source as (
    {{ silver_rows(source('silver', 'orders_batch'), {
        'order_id': 'bigint',
        'status': 'varchar',
        'amount': 'decimal(12,2)',
        'event_date': 'date'
    }) }}
)

select
    order_id,
    status,
    amount,
    event_date
from source
