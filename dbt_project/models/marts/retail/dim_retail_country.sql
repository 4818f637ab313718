select
    country_key,
    any_value(country) as country,
    any_value(country) = 'United Kingdom' as is_domestic
from {{ ref('fct_retail_sales') }}
group by country_key
