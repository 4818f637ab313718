select
    {{ surrogate_key(['customer_id', 'version_id']) }} as customer_version_key,
    {{ person_key('cast(customer_id as varchar)') }} as customer_key,
    city,
    valid_from,
    valid_to,
    is_current
from {{ ref('stg_shop__customer_versions') }}
