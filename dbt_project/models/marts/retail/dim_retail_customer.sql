select
    customer_key,
    customer_key <> 'unknown' as is_known,
    case when customer_key = 'unknown' then null else arg_max(country, (sold_at, line_id)) end as last_country,
    min(event_date) as first_sold_on,
    max(event_date) as last_sold_on
from {{ ref('fct_retail_sales') }}
group by customer_key
