-- The current row of each order. A customer whom the shop has deleted has no row in dim_shop_customer any more.
with orders as (
    select
        *,
        {{ person_key('cast(customer_id as varchar)') }} as customer_key
    from {{ ref('stg_shop__orders') }}
)

select
    orders.order_id,
    orders.customer_key,
    customers.customer_key is not null as is_customer_known,
    orders.status,
    orders.amount,
    orders.created_at,
    {{ also(new_fields('orders'), 'orders') }}
    orders.updated_at
from orders
left join {{ ref('dim_shop_customer') }} as customers on orders.customer_key = customers.customer_key
order by orders.created_at
