{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ forget_touched('user_events') }}"
) }}

select
    user_id,
    event_date,
    count(*) as total_events,
    count(distinct session_id) as sessions,
    cast(sum(revenue) as {{ grown('decimal(18,2)', 'user_events', 'revenue') }}) as revenue,
    max(happened_at) as last_activity
from {{ ref('stg_user_events__events') }}
{% if is_incremental() %}
    where {{ touched('user_events') }}
{% endif %}
group by user_id, event_date
order by event_date, user_id
