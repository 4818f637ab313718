{{ config(unique_key='order_hk') }}

select
    {{ surrogate_key(['order_id']) }} as order_hk,
    order_id,
    min(sold_at) as load_date,
    'sales_events' as record_source
from {{ ref('int_sales__order_lines') }}
{% if is_incremental() %}
    where {{ surrogate_key(['order_id']) }} not in (select known.order_hk from {{ this }} as known)
{% endif %}
group by order_id
