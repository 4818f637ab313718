with source as (
    {{ silver_rows(source('silver', 'sales'), 'sales') }}
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
    {{ also(new_fields('sales')) }}
    sale_timestamp at time zone 'UTC' as sold_at
from source
