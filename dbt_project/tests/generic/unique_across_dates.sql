{# Fails with every value of a column that occurs more than once, whatever its event date.

   of: as for `unique_combination`. An incremental build looks for the values of the touched dates, among all dates. #}
{% test unique_across_dates(model, column_name, of) %}
select
    {{ column_name }},
    count(*) as occurrences
from {{ model }}
{% if untested(of) != 'true' %}
    where {{ column_name }} in (select computed.{{ column_name }} from {{ model }} as computed where {{ untested(of) }})
{% endif %}
group by {{ column_name }}
having count(*) > 1
{% endtest %}
