with source as (
    {{ silver_rows(source('silver', 'retail'), 'retail') }}
)

select
    line_id,
    invoice_no,
    stock_code,
    description,
    quantity,
    unit_price,
    customer_id,
    country,
    is_cancelled,
    event_date,
    {{ also(new_fields('retail')) }}
    invoice_date at time zone 'UTC' as sold_at
from source
