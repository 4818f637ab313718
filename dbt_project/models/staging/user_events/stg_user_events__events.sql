with source as (
    {{ silver_rows(source('silver', 'user_events'), 'user_events') }}
)

select
    event_id,
    user_id,
    session_id,
    event_type,
    event_date,
    event_time at time zone 'UTC' as happened_at,
    case when event_type = 'purchase' then coalesce(revenue, 0) else 0 end as revenue
from source
