with days as (
    select
        customer_key,
        min(event_date) as first_sold_on,
        max(event_date) as last_sold_on
    from {{ ref('obt_sales') }}
    group by customer_key
),

latest as (
    select
        customer_key,
        arg_max(store_location, (sold_at, order_id)) as last_store_location,
        arg_max(payment_method, (sold_at, order_id)) as last_payment_method
    from {{ last_lines(ref('obt_sales'), 'customer_key', 'sold_at', ['store_location', 'payment_method']) }}
    group by customer_key
)

select
    days.customer_key,
    latest.last_store_location,
    latest.last_payment_method,
    days.first_sold_on,
    days.last_sold_on
from days
left join latest on days.customer_key is not distinct from latest.customer_key
