select
    dbt_scd_id as product_version_key,
    product_key,
    product_id,
    product_name,
    category,
    list_price,
    dbt_valid_from as valid_from,
    dbt_valid_to as valid_to,
    dbt_valid_to is null as is_current
from {{ ref('snap_product') }}
-- A version that began no earlier than the next one was never in force: a sale was corrected, or read again.
where dbt_valid_to is null or dbt_valid_from < dbt_valid_to
