select
    {{ surrogate_key(['customer_id', 'version_id']) }} as customer_version_key,
    {{ person_key('cast(customer_id as varchar)') }} as customer_key,
    city,
    valid_from,
    valid_to,
    {{ also(new_fields('history/customers')) }}
    is_current
from {{ ref('stg_shop__customer_versions') }}
