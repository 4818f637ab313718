-- Versions of each place's counts for each day, as published: valid from its publication until the next one that says
-- something else, or no longer names the place. Equal publications in a row are one version.
with published as (
    select
        updates.*,
        publications.replaced_at,
        row(updates.confirmed, updates.deaths, updates.recovered) as counts
    from {{ ref('stg_covid__updates') }} as updates
    inner join {{ ref('fct_covid_publication') }} as publications
        on
            updates.report_date = publications.report_date
            and updates.published_at = publications.published_at
    where publications.is_whole
),

marked as (
    select
        *,
        coalesce(
            lag(replaced_at) over place_by_publication = published_at
            and lag(counts) over place_by_publication is not distinct from counts,
            false
        ) as is_same_version
    from published
    window place_by_publication as (partition by report_date, location order by published_at)
),

versioned as (
    select
        *,
        sum(case when is_same_version then 0 else 1 end) over (
            partition by report_date, location
            order by published_at
            rows between unbounded preceding and current row
        ) as version_number
    from marked
)

select
    report_date,
    location,
    cast(version_number as integer) as version_number,
    any_value(country) as country,
    any_value(province) as province,
    any_value(confirmed) as confirmed,
    any_value(deaths) as deaths,
    any_value(recovered) as recovered,
    min(published_at) as valid_from,
    case when count(replaced_at) = count(*) then max(replaced_at) end as valid_to,
    count(replaced_at) < count(*) as is_current
from versioned
group by report_date, location, version_number
order by report_date, location, version_number
