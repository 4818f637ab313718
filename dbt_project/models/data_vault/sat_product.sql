{{ config(unique_key=['product_hk', 'load_date']) }}

-- Each look that a product had from a sale on, told apart by a hash of its attributes. One look per moment: the last.
with looks as (
    select
        {{ surrogate_key(['product_id']) }} as product_hk,
        sold_at as load_date,
        {{ surrogate_key(['product_name', 'category', 'unit_price']) }} as hash_diff,
        product_name,
        category,
        unit_price,
        'sales_events' as record_source
    from {{ ref('int_sales__order_lines') }}
    qualify row_number() over (partition by product_id, sold_at order by order_id desc) = 1
),

changed as (
    select *
    from looks
    qualify hash_diff is distinct from lag(hash_diff) over (partition by product_hk order by load_date)
)

select
    changed.product_hk,
    changed.load_date,
    changed.hash_diff,
    changed.product_name,
    changed.category,
    changed.unit_price,
    changed.record_source
from changed
{% if is_incremental() %}
    left join {{ this }} as known
        on
            changed.product_hk = known.product_hk
            and changed.load_date = known.load_date
            and changed.hash_diff = known.hash_diff
    where known.product_hk is null
{% endif %}
