with source as (
    {{ silver_rows(source('silver', 'customers'), {
        'id': 'bigint',
        'name': 'varchar',
        'email': 'varchar',
        'city': 'varchar',
        'updated_at': 'timestamptz',
        '_deleted': 'boolean',
        '_changed_at': 'timestamptz'
    }) }}
)

select
    id as customer_id,
    name,
    email,
    city,
    updated_at at time zone 'UTC' as updated_at,
    _changed_at at time zone 'UTC' as changed_at
from source
where not _deleted
