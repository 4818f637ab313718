{% set amount = grown('decimal(14,2)', 'sales', 'total_price') %}

select
    order_id,
    event_date,
    sold_at,
    customer_id,
    {{ person_key('customer_id') }} as customer_key,
    product_id,
    {{ surrogate_key(['product_id']) }} as product_key,
    product_name,
    category,
    store_id,
    {{ surrogate_key(['store_id']) }} as store_key,
    store_location,
    payment_method,
    {{ surrogate_key(['payment_method']) }} as payment_method_key,
    quantity,
    unit_price,
    discount_rate,
    total_price as gross_amount,
    cast(round(total_price * discount_rate, 2) as {{ amount }}) as discount_amount,
    {{ also(new_fields('sales')) }}
    cast(total_price - round(total_price * discount_rate, 2) as {{ amount }}) as net_amount
from {{ ref('stg_sales__order_lines') }}
