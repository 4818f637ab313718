{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ forget_touched('market_data') }}"
) }}

with ticks as (
    select
        *,
        time_bucket(interval '15 minutes', happened_at) as bar_start,
        -- Equal times are told apart by source and number, so that a bar does not depend on the order of arrival.
        row(happened_at, source_name, event_id) as moment
    from {{ ref('stg_market__ticks') }}
    {% if is_incremental() %}
        where {{ touched('market_data') }}
    {% endif %}
)

select
    event_date,
    symbol,
    bar_start,
    arg_min(price, moment) as open_price,
    max(price) as high_price,
    min(price) as low_price,
    arg_max(price, moment) as close_price,
    cast(coalesce(sum(volume), 0) as {{ grown('decimal(38,10)', 'market_data', 'volume') }}) as volume,
    count(*) as ticks
from ticks
group by event_date, symbol, bar_start
order by event_date, symbol, bar_start
