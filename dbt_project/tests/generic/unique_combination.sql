{# Fails with every combination of the columns that occurs more than once.

   of: the stream whose event dates decide about an incremental build, where `event_date` is one of the columns: then only
   the touched dates are looked at, see `untested`. #}
{% test unique_combination(model, columns, of=none) %}
select
    {{ columns | join(', ') }},
    count(*) as occurrences
from {{ model }}
where {{ untested(of) if of else 'true' }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
