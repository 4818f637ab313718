with source as (
    {{ silver_rows(source('silver', 'orders'), {
        'id': 'bigint',
        'customer_id': 'bigint',
        'amount': 'decimal(12,2)',
        'status': 'varchar',
        'created_at': 'timestamptz',
        'updated_at': 'timestamptz',
        '_deleted': 'boolean',
        '_changed_at': 'timestamptz'
    }) }}
)

select
    id as order_id,
    customer_id,
    amount,
    status,
    created_at at time zone 'UTC' as created_at,
    updated_at at time zone 'UTC' as updated_at,
    _changed_at at time zone 'UTC' as changed_at
from source
where not _deleted
