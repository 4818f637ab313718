select
    store_key,
    arg_max(store_id, (sold_at, order_id)) as store_id,
    arg_max(store_location, (sold_at, order_id)) as store_location,
    arg_max(store_location, (sold_at, order_id)) = 'Online' as is_online
from {{ ref('int_sales__order_lines') }}
group by store_key
