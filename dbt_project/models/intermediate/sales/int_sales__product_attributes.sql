-- What each product looks like now, and since when: the first sale after the last one that looked different.
with lines as (
    select
        product_key,
        product_id,
        product_name,
        category,
        unit_price,
        sold_at,
        order_id
    from {{ ref('int_sales__order_lines') }}
),

latest as (
    select
        product_key,
        arg_max(product_id, (sold_at, order_id)) as product_id,
        arg_max(product_name, (sold_at, order_id)) as product_name,
        arg_max(category, (sold_at, order_id)) as category,
        arg_max(unit_price, (sold_at, order_id)) as list_price
    from lines
    group by product_key
),

marked as (
    select
        lines.product_key,
        lines.sold_at,
        lines.product_name = latest.product_name
        and lines.category = latest.category
        and lines.unit_price = latest.list_price as is_current_look
    from lines
    inner join latest on lines.product_key = latest.product_key
),

different as (
    select
        product_key,
        max(sold_at) as last_different_at
    from marked
    where not is_current_look
    group by product_key
),

since as (
    select
        marked.product_key,
        min(marked.sold_at) as effective_from
    from marked
    left join different on marked.product_key = different.product_key
    where
        marked.is_current_look
        and (different.last_different_at is null or marked.sold_at >= different.last_different_at)
    group by marked.product_key
)

select
    latest.product_key,
    latest.product_id,
    latest.product_name,
    latest.category,
    latest.list_price,
    since.effective_from
from latest
inner join since on latest.product_key = since.product_key
