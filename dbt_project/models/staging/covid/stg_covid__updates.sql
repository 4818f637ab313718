with source as (
    {{ silver_rows(source('silver', 'covid_updates'), 'covid_updates') }}
)

select
    report_date,
    location,
    country,
    province,
    confirmed,
    deaths,
    recovered,
    places_in_report,
    published_at at time zone 'UTC' as published_at
from source
