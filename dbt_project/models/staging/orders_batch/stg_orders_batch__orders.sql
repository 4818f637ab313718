with source as (
    {{ silver_rows(source('silver', 'orders_batch'), 'orders_batch') }}
)

select
    order_id,
    status,
    amount,
    event_date
from source
