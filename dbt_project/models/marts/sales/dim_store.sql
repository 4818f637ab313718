-- The last moment of each first: only its lines are told apart by their texts.
with moments as (
    select
        store_id,
        max(sold_at) as last_sold_at
    from {{ ref('obt_sales') }}
    group by store_id
),

latest as (
    select
        moments.store_id,
        arg_max(sold.store_location, sold.order_id) as store_location
    from moments
    inner join {{ ref('obt_sales') }} as sold
        on moments.store_id = sold.store_id and moments.last_sold_at = sold.sold_at
    group by moments.store_id
)

select
    {{ surrogate_key(['store_id']) }} as store_key,
    store_id,
    store_location,
    store_location = 'Online' as is_online
from latest
