{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ forget_touched('sales') }}"
) }}

select
    order_id,
    event_date,
    sold_at,
    customer_key,
    product_key,
    store_key,
    payment_method_key,
    category,
    quantity,
    unit_price,
    discount_rate,
    gross_amount,
    discount_amount,
    net_amount
from {{ ref('int_sales__order_lines') }}
{% if is_incremental() %}
    where {{ touched('sales') }}
{% endif %}
order by event_date, category
