{% set amount = grown('decimal(14,2)', 'retail', 'unit_price') %}

select
    line_id,
    invoice_no,
    event_date,
    sold_at,
    stock_code,
    {{ surrogate_key(['stock_code']) }} as product_key,
    description,
    customer_id,
    case when customer_id is null then 'unknown' else {{ person_key('customer_id') }} end as customer_key,
    country,
    {{ surrogate_key(['country']) }} as country_key,
    is_cancelled,
    {{ also(new_fields('retail')) }}
    not regexp_full_match(stock_code, '[0-9]{5}[A-Za-z]{0,2}') as is_service,
    quantity,
    unit_price,
    cast(quantity * unit_price as {{ amount }}) as net_amount,
    cast(case when is_cancelled then 0 else quantity * unit_price end as {{ amount }}) as gross_amount,
    cast(case when is_cancelled then -quantity * unit_price else 0 end as {{ amount }}) as returned_amount
from {{ ref('stg_retail__invoice_lines') }}
