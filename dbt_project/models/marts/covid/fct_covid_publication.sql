with publications as (
    select
        report_date,
        published_at,
        count(*) as places,
        max(places_in_report) as places_in_report,
        cast(coalesce(sum(confirmed), 0) as bigint) as confirmed,
        cast(coalesce(sum(deaths), 0) as bigint) as deaths,
        cast(coalesce(sum(recovered), 0) as bigint) as recovered
    from {{ ref('stg_covid__updates') }}
    group by report_date, published_at
),

-- What has arrived in part only counts for nothing: the publication before it stays in force.
whole as (
    select
        report_date,
        published_at,
        lead(published_at) over (partition by report_date order by published_at) as replaced_at
    from publications
    where places = places_in_report
)

select
    publications.report_date,
    publications.published_at,
    whole.replaced_at,
    publications.places,
    publications.confirmed,
    publications.deaths,
    publications.recovered,
    whole.published_at is not null as is_whole,
    whole.published_at is not null and whole.replaced_at is null as is_current
from publications
left join whole
    on
        publications.report_date = whole.report_date
        and publications.published_at = whole.published_at
order by publications.report_date, publications.published_at
