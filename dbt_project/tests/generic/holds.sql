{# Fails with every row for which the condition is not true; an unknown result counts as not true. #}
{% test holds(model, condition) %}
select *
from {{ model }}
where ({{ condition }}) is not true
{% endtest %}
