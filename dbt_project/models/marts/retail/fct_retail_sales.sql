{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    pre_hook="{{ forget_touched('retail') }}"
) }}

select
    line_id,
    invoice_no,
    event_date,
    sold_at,
    customer_key,
    product_key,
    country_key,
    country,
    is_cancelled,
    is_service,
    quantity,
    unit_price,
    gross_amount,
    returned_amount,
    {{ also(new_fields('retail')) }}
    net_amount
from {{ ref('int_retail__invoice_lines') }}
{% if is_incremental() %}
    where {{ touched('retail') }}
{% endif %}
order by event_date, country
