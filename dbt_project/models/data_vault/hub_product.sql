{{ config(unique_key='product_hk') }}

select
    {{ surrogate_key(['product_id']) }} as product_hk,
    product_id,
    min(sold_at) as load_date,
    'sales_events' as record_source
from {{ ref('int_sales__order_lines') }}
{% if is_incremental() %}
    where {{ surrogate_key(['product_id']) }} not in (select known.product_hk from {{ this }} as known)
{% endif %}
group by product_id
