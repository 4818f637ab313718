with source as (
    {{ silver_rows(source('history', 'customers'), 'history/customers') }}
)

select
    id as customer_id,
    city,
    valid_from at time zone 'UTC' as valid_from,
    valid_to at time zone 'UTC' as valid_to,
    is_current,
    {{ also(new_fields('history/customers')) }}
    _change as version_id
from source
where is_version
