with source as (
    {{ silver_rows(source('silver', 'market_data'), 'market_data') }}
)

select
    symbol,
    event_type,
    event_id,
    price,
    volume,
    event_date,
    source as source_name,
    event_time at time zone 'UTC' as happened_at
from source
where event_type in ('trade', 'rate')
