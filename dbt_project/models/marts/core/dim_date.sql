-- Whole years around every event date of every fact, so that reports can show days without sales.
with event_dates as (
    select event_date from {{ ref('fct_sales') }}
    union all
    select event_date from {{ ref('fct_retail_sales') }}
    union all
    select event_date from {{ ref('fct_market_bar') }}
    union all
    select report_date from {{ ref('fct_covid_publication') }}
    union all
    select event_date from {{ ref('user_events_daily') }}
),

bounds as (
    select
        date_trunc('year', min(event_date)) as first_day,
        date_trunc('year', max(event_date)) + interval 1 year - interval 1 day as last_day
    from event_dates
),

days as (
    select cast(unnest(generate_series(first_day, last_day, interval 1 day)) as date) as date_day
    from bounds
    where first_day is not null
)

select
    date_day,
    cast(year(date_day) as integer) as calendar_year,
    cast(quarter(date_day) as integer) as calendar_quarter,
    cast(month(date_day) as integer) as calendar_month,
    strftime(date_day, '%B') as month_name,
    cast(weekofyear(date_day) as integer) as iso_week,
    cast(isodow(date_day) as integer) as iso_day_of_week,
    strftime(date_day, '%A') as day_name,
    isodow(date_day) >= 6 as is_weekend
from days
order by date_day
