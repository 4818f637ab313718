{{ config(unique_key='sale_hk') }}

-- Which order sold which product in which store. A corrected order is another relationship, beside the first.
with sales as (
    select
        {{ surrogate_key(['order_id', 'product_id', 'store_id']) }} as sale_hk,
        {{ surrogate_key(['order_id']) }} as order_hk,
        {{ surrogate_key(['product_id']) }} as product_hk,
        {{ surrogate_key(['store_id']) }} as store_hk,
        sold_at
    from {{ ref('int_sales__order_lines') }}
)

select
    sale_hk,
    order_hk,
    product_hk,
    store_hk,
    min(sold_at) as load_date,
    'sales_events' as record_source
from sales
{% if is_incremental() %}
    where sale_hk not in (select known.sale_hk from {{ this }} as known)
{% endif %}
group by sale_hk, order_hk, product_hk, store_hk
