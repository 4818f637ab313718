with methods as (
    select distinct payment_method
    from {{ ref('obt_sales') }}
)

select
    {{ surrogate_key(['payment_method']) }} as payment_method_key,
    payment_method,
    case
        when payment_method in ('Credit Card', 'Debit Card') then 'card'
        when payment_method in ('PayPal', 'Apple Pay') then 'wallet'
        when payment_method = 'Cash' then 'cash'
        when payment_method = 'Gift Card' then 'voucher'
        else 'other'
    end as payment_kind
from methods
