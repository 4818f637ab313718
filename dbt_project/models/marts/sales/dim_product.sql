with versions as (
    select
        *,
        max(case when dbt_valid_to is null then dbt_valid_from end) over (partition by product_key) as current_from
    from {{ ref('snap_product') }}
),

-- A sale was corrected, or read again: a version that began no earlier than the next one, or than today's, was never
-- in force; one that came back is there once.
in_force as (
    select *
    from versions
    where dbt_valid_to is null or (dbt_valid_from < dbt_valid_to and dbt_valid_from < current_from)
    qualify row_number() over (partition by dbt_scd_id order by dbt_valid_to desc nulls first) = 1
)

select
    dbt_scd_id as product_version_key,
    product_key,
    product_id,
    product_name,
    category,
    list_price,
    dbt_valid_from as valid_from,
    lead(dbt_valid_from) over (partition by product_key order by dbt_valid_from) as valid_to,
    dbt_valid_to is null as is_current
from in_force
