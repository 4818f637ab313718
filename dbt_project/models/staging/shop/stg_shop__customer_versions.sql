with source as (
    {{ silver_rows(source('history', 'customers'), {
        'id': 'bigint',
        'city': 'varchar',
        'valid_from': 'timestamptz',
        'valid_to': 'timestamptz',
        'is_version': 'boolean',
        'is_current': 'boolean',
        '_change': 'varchar'
    }) }}
)

select
    id as customer_id,
    city,
    valid_from at time zone 'UTC' as valid_from,
    valid_to at time zone 'UTC' as valid_to,
    is_current,
    _change as version_id
from source
where is_version
