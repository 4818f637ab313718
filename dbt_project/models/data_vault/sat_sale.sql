{{ config(unique_key=['sale_hk', 'hash_diff']) }}

-- What was sold, for how much; a correction is a further row.
with figures as (
    select
        {{ surrogate_key(['order_id', 'product_id', 'store_id']) }} as sale_hk,
        sold_at as load_date,
        {{ surrogate_key(['quantity', 'gross_amount', 'discount_amount', 'sold_at']) }} as hash_diff,
        quantity,
        gross_amount,
        discount_amount,
        net_amount,
        'sales_events' as record_source
    from {{ ref('int_sales__order_lines') }}
)

select *
from figures
{% if is_incremental() %}
    where (sale_hk, hash_diff) not in (select (known.sale_hk, known.hash_diff) from {{ this }} as known)
{% endif %}
