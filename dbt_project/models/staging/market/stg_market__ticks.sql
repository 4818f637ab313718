with source as (
    {{ silver_rows(source('silver', 'market_data'), {
        'source': 'varchar',
        'symbol': 'varchar',
        'event_type': 'varchar',
        'event_id': 'varchar',
        'price': 'decimal(28,10)',
        'volume': 'decimal(28,10)',
        'event_time': 'timestamptz',
        'event_date': 'date'
    }) }}
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
