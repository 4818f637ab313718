{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ forget_touched('orders_batch') }}"
) }}

select
    event_date,
    status,
    count(*) as orders,
    cast(sum(amount) as {{ grown('decimal(18,2)', 'orders_batch', 'amount') }}) as amount
from {{ ref('stg_orders_batch__orders') }}
{% if is_incremental() %}
    where {{ touched('orders_batch') }}
{% endif %}
group by event_date, status
order by event_date, status
