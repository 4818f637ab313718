{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ forget_touched('retail') }}"
) }}

select
    event_date,
    country,
    count(*) as invoice_lines,
    count(distinct invoice_no) as invoices,
    count(distinct case when customer_key <> 'unknown' then customer_key end) as known_customers,
    cast(sum(case when is_cancelled then 1 else 0 end) as bigint) as cancelled_lines,
    cast(sum(quantity) as {{ grown('bigint', 'retail', 'quantity') }}) as quantity,
    cast(sum(gross_amount) as {{ grown('decimal(18,2)', 'retail', 'unit_price') }}) as gross_amount,
    cast(sum(returned_amount) as {{ grown('decimal(18,2)', 'retail', 'unit_price') }}) as returned_amount,
    cast(sum(net_amount) as {{ grown('decimal(18,2)', 'retail', 'unit_price') }}) as net_amount
from {{ ref('fct_retail_sales') }}
{% if is_incremental() %}
    where {{ touched('retail') }}
{% endif %}
group by event_date, country
order by event_date, country
