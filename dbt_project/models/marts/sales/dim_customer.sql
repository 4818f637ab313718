-- The last moment of each first: only its lines are told apart by their texts.
with moments as (
    select
        customer_key,
        min(event_date) as first_sold_on,
        max(event_date) as last_sold_on,
        max(sold_at) as last_sold_at
    from {{ ref('obt_sales') }}
    group by customer_key
)

select
    moments.customer_key,
    arg_max(sold.store_location, sold.order_id) as last_store_location,
    arg_max(sold.payment_method, sold.order_id) as last_payment_method,
    moments.first_sold_on,
    moments.last_sold_on
from moments
inner join {{ ref('obt_sales') }} as sold
    on moments.customer_key = sold.customer_key and moments.last_sold_at = sold.sold_at
group by moments.customer_key, moments.first_sold_on, moments.last_sold_on
