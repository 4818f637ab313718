select
    {{ person_key('cast(customer_id as varchar)') }} as customer_key,
    city,
    updated_at,
    {{ also(new_fields('customers')) }}
    changed_at
from {{ ref('stg_shop__customers') }}
