-- The shop writes notes into the description ('?', 'damaged'), so the most frequent one names the product.
select
    product_key,
    any_value(stock_code) as stock_code,
    mode(description order by description) as description,
    bool_or(is_service) as is_service,
    min(event_date) as first_sold_on,
    max(event_date) as last_sold_on
from {{ ref('int_retail__invoice_lines') }}
group by product_key
