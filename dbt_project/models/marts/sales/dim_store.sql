select
    {{ surrogate_key(['max(store_id)']) }} as store_key,
    max(store_id) as store_id,
    arg_max(store_location, (sold_at, order_id)) as store_location,
    arg_max(store_location, (sold_at, order_id)) = 'Online' as is_online
from {{ last_lines(ref('obt_sales'), 'store_id', 'sold_at', ['store_location', 'sold_at']) }}
group by coalesce(store_id, '')
