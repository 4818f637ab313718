select
    customer_key,
    arg_max(store_location, (sold_at, order_id)) as last_store_location,
    arg_max(payment_method, (sold_at, order_id)) as last_payment_method,
    min(event_date) as first_sold_on,
    max(event_date) as last_sold_on
from {{ ref('int_sales__order_lines') }}
group by customer_key
