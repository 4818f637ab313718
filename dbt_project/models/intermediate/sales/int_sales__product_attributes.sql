-- A table: the snapshot reads it several times.
{{ config(materialized='table') }}

-- What each product looks like now, and since when: the first sale after the last one that looked different.
with looks as (
    select
        product_id,
        product_name,
        category,
        unit_price as list_price,
        min(sold_at) as first_sold_at,
        max(sold_at) as last_sold_at
    from {{ ref('obt_sales') }}
    group by product_id, product_name, category, unit_price
),

moments as (
    select
        product_id,
        max(last_sold_at) as last_sold_at
    from looks
    group by product_id
),

latest as (
    select
        moments.product_id,
        arg_max(sold.product_name, sold.order_id) as product_name,
        arg_max(sold.category, sold.order_id) as category,
        arg_max(sold.unit_price, sold.order_id) as list_price
    from moments
    inner join {{ ref('obt_sales') }} as sold
        on moments.product_id = sold.product_id and moments.last_sold_at = sold.sold_at
    group by moments.product_id
),

current_looks as (
    select
        looks.product_id,
        looks.product_name,
        looks.category,
        looks.list_price,
        looks.first_sold_at,
        max(other_looks.last_sold_at) as last_different_at
    from latest
    inner join looks
        on
            latest.product_id = looks.product_id
            and latest.product_name = looks.product_name
            and latest.category = looks.category
            and latest.list_price = looks.list_price
    left join looks as other_looks
        on
            latest.product_id = other_looks.product_id
            and (
                latest.product_name <> other_looks.product_name
                or latest.category <> other_looks.category
                or latest.list_price <> other_looks.list_price
            )
    group by all
),

-- Those that had another look in between: only their lines are asked for.
returned as (
    select
        current_looks.product_id,
        min(sold.sold_at) as effective_from
    from current_looks
    inner join {{ ref('obt_sales') }} as sold
        on
            current_looks.product_id = sold.product_id
            and current_looks.product_name = sold.product_name
            and current_looks.category = sold.category
            and current_looks.list_price = sold.unit_price
            and current_looks.last_different_at <= sold.sold_at
    where current_looks.first_sold_at < current_looks.last_different_at
    group by current_looks.product_id
)

select
    {{ surrogate_key(['current_looks.product_id']) }} as product_key,
    current_looks.product_id,
    current_looks.product_name,
    current_looks.category,
    current_looks.list_price,
    coalesce(returned.effective_from, current_looks.first_sold_at) as effective_from
from current_looks
left join returned on current_looks.product_id = returned.product_id
