"""What analysts see in the published gold. Here: one mart's rows. Not here: what they must be (`dbt.silver`)."""

from typing import Any

import duckdb

from lakehouse.lake.gold import builds
from lakehouse.settings import Settings


def daily(settings: Settings) -> dict[Any, tuple[Any, ...]]:
    query = (
        "select event_date, category, order_lines, customers, quantity, gross_amount, discount_amount, net_amount "
        "from sales_daily"
    )
    with duckdb.connect(str(builds.gold_path(settings)), read_only=True) as connection:
        return {(row[0], row[1]): row[2:] for row in connection.execute(query).fetchall()}
