select
    country_key,
    any_value(country) as country,
    any_value(country) = 'United Kingdom' as is_domestic
from {{ ref('int_retail__invoice_lines') }}
group by country_key
