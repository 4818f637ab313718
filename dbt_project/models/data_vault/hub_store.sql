{{ config(unique_key='store_hk') }}

select
    {{ surrogate_key(['store_id']) }} as store_hk,
    store_id,
    min(sold_at) as load_date,
    'sales_events' as record_source
from {{ ref('int_sales__order_lines') }}
{% if is_incremental() %}
    where {{ surrogate_key(['store_id']) }} not in (select known.store_hk from {{ this }} as known)
{% endif %}
group by store_id
