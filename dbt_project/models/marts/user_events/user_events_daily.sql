{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ forget_touched('user_events') }}"
) }}

select
    event_date,
    count(*) as total_events,
    count(distinct user_id) as active_users,
    count(distinct session_id) as sessions,
    cast(sum(case when event_type = 'view' then 1 else 0 end) as bigint) as page_views,
    cast(sum(case when event_type = 'click' then 1 else 0 end) as bigint) as clicks,
    cast(sum(case when event_type = 'purchase' then 1 else 0 end) as bigint) as purchases,
    cast(sum(revenue) as {{ grown('decimal(18,2)', 'user_events', 'revenue') }}) as revenue
from {{ ref('stg_user_events__events') }}
{% if is_incremental() %}
    where {{ touched('user_events') }}
{% endif %}
group by event_date
order by event_date
