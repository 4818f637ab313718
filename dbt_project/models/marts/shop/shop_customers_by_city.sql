select
    city,
    count(*) as customers
from {{ ref('dim_shop_customer') }}
group by city
order by city
