-- The counts of each day as they stand now: the last whole publication of the day, places summed up to provinces.
with current_counts as (
    select
        updates.report_date,
        updates.country,
        updates.published_at,
        coalesce(updates.province, '') as province,
        count(*) as places,
        cast(sum(updates.confirmed) as bigint) as confirmed,
        cast(sum(updates.deaths) as bigint) as deaths,
        cast(sum(updates.recovered) as bigint) as recovered
    from {{ ref('stg_covid__updates') }} as updates
    inner join {{ ref('fct_covid_publication') }} as publications
        on
            updates.report_date = publications.report_date
            and updates.published_at = publications.published_at
    where publications.is_current
    group by updates.report_date, updates.country, coalesce(updates.province, ''), updates.published_at
)

select
    today.report_date,
    today.country,
    today.province,
    today.published_at,
    today.places,
    today.confirmed,
    today.deaths,
    today.recovered,
    today.confirmed - yesterday.confirmed as new_confirmed,
    today.deaths - yesterday.deaths as new_deaths
from current_counts as today
left join current_counts as yesterday
    on
        today.country = yesterday.country
        and today.province = yesterday.province
        and today.report_date = yesterday.report_date + 1
order by today.report_date, today.country, today.province
