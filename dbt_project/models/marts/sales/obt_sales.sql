{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    pre_hook="{{ forget_touched('sales') }}"
) }}

-- Attributes as they were sold, so that a row never changes unless its event does. As wide as silver: a field that the
-- contract gets shows up here by itself.
select
    order_id,
    event_date,
    sold_at,
    cast(year(event_date) as integer) as calendar_year,
    cast(month(event_date) as integer) as calendar_month,
    strftime(event_date, '%A') as day_name,
    cast(hour(sold_at) as integer) as hour_of_day,
    customer_key,
    product_id,
    product_name,
    category,
    store_id,
    store_location,
    payment_method,
    quantity,
    unit_price,
    discount_rate,
    gross_amount,
    discount_amount,
    {{ also(new_fields('sales')) }}
    net_amount
from {{ ref('int_sales__order_lines') }}
{% if is_incremental() %}
    where {{ touched('sales') }}
{% endif %}
order by event_date, category
