{# Fails with every row for which the condition is not true; an unknown result counts as not true.

   of: as for `unique_combination`, of a model that has the column `event_date`. #}
{% test holds(model, condition, of=none) %}
select *
from {{ model }}
where ({{ condition }}) is not true and {{ untested(of) if of else 'true' }}
{% endtest %}
