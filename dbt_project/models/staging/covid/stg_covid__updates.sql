with source as (
    {{ silver_rows(source('silver', 'covid_updates'), {
        'report_date': 'date',
        'published_at': 'timestamptz',
        'location': 'varchar',
        'country': 'varchar',
        'province': 'varchar',
        'confirmed': 'bigint',
        'deaths': 'bigint',
        'recovered': 'bigint',
        'places_in_report': 'integer'
    }) }}
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
