{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ forget_touched('sales') }}"
) }}

select
    event_date,
    category,
    count(*) as order_lines,
    count(distinct customer_key) as customers,
    cast(sum(quantity) as {{ grown('bigint', 'sales', 'quantity') }}) as quantity,
    cast(sum(gross_amount) as {{ grown('decimal(18,2)', 'sales', 'total_price') }}) as gross_amount,
    cast(sum(discount_amount) as {{ grown('decimal(18,2)', 'sales', 'total_price') }}) as discount_amount,
    cast(sum(net_amount) as {{ grown('decimal(18,2)', 'sales', 'total_price') }}) as net_amount
from {{ ref('fct_sales') }}
{% if is_incremental() %}
    where {{ touched('sales') }}
{% endif %}
group by event_date, category
order by event_date, category
