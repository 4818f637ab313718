select
    {{ person_key('cast(customer_id as varchar)') }} as customer_key,
    city,
    updated_at,
    changed_at
from {{ ref('stg_shop__customers') }}
