with source as (
    {{ silver_rows(source('silver', 'orders'), 'orders') }}
)

select
    id as order_id,
    customer_id,
    amount,
    status,
    {{ also(new_fields('orders')) }}
    created_at at time zone 'UTC' as created_at,
    updated_at at time zone 'UTC' as updated_at,
    _changed_at at time zone 'UTC' as changed_at
from source
where not _deleted
