with source as (
    {{ silver_rows(source('silver', 'customers'), 'customers') }}
)

select
    id as customer_id,
    name,
    email,
    city,
    {{ also(new_fields('customers')) }}
    updated_at at time zone 'UTC' as updated_at,
    _changed_at at time zone 'UTC' as changed_at
from source
where not _deleted
