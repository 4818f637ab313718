-- Most of the work is done on the few looks that a product has had, not on its lines.
with looks as (
    select
        coalesce(product_id, '') as product,
        product_name,
        category,
        unit_price,
        min(sold_at) as first_sold_at,
        max(sold_at) as last_sold_at
    from {{ ref('obt_sales') }}
    group by coalesce(product_id, ''), product_name, category, unit_price
),

latest as (
    select
        coalesce(product_id, '') as product,
        arg_max(product_name, (sold_at, order_id)) as product_name,
        arg_max(category, (sold_at, order_id)) as category,
        arg_max(unit_price, (sold_at, order_id)) as list_price
    from {{ last_lines(ref('obt_sales'), 'product_id', 'sold_at', ['product_name', 'category', 'unit_price']) }}
    group by coalesce(product_id, '')
),

-- What is not known of a sale says nothing against today's look.
compared as (
    select
        looks.*,
        coalesce(looks.product_name = latest.product_name, true)
        and coalesce(looks.category = latest.category, true)
        and coalesce(looks.unit_price = latest.list_price, true) as is_current
    from looks
    inner join latest on looks.product = latest.product
),

spans as (
    select
        product,
        min(first_sold_at) filter (where is_current) as first_sold_at,
        max(last_sold_at) filter (where not is_current) as last_different_at
    from compared
    group by product
),

-- Looked different in between: today's look is as old as the first sale after that, which only the lines can tell.
returned as (
    select
        spans.product,
        min(sold.sold_at) as effective_from
    from spans
    inner join latest on spans.product = latest.product
    inner join {{ ref('obt_sales') }} as sold on spans.product = coalesce(sold.product_id, '')
    where
        spans.first_sold_at < spans.last_different_at
        and sold.sold_at >= spans.last_different_at
        and coalesce(sold.product_name = latest.product_name, true)
        and coalesce(sold.category = latest.category, true)
        and coalesce(sold.unit_price = latest.list_price, true)
    group by spans.product
)

select
    {{ surrogate_key(['latest.product']) }} as product_key,
    latest.product as product_id,
    latest.product_name,
    latest.category,
    latest.list_price,
    coalesce(returned.effective_from, spans.first_sold_at) as effective_from
from latest
inner join spans on latest.product = spans.product
left join returned on latest.product = returned.product
