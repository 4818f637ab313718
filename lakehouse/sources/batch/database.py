"""Rows of one window out of the shop's own database, for batch pipelines; simulated ones while no database is set.

Here: reading and naming the columns. Not here: pages and SQL (`sources.database`), streams (`sources.extract`).
"""

import json
from collections.abc import Iterator
from typing import Any

from lakehouse.contracts.window import Window
from lakehouse.engine.postgres import connect, shown
from lakehouse.settings import Settings
from lakehouse.sources.batch import shop
from lakehouse.sources.database import TableReader

_PAGE = 5_000


def orders(window: Window, options: dict[str, Any], settings: Settings) -> Iterator[dict[str, Any]]:
    """Orders made on the window's day, each with its `source`: `host:port/database`, or `simulated`.

    Args:
        window: A day, by `created_at` in UTC.
        options: `table` ("public.orders"), its `key` ("id"), which becomes `order_id`; those of
            `sources.batch.shop.orders` for the simulated shop.
        settings: LAKEHOUSE_SOURCE_URL; without it the shop is simulated, so that the pipeline runs anywhere.

    Raises:
        UsageError: the database has no such table or column.
        DatabaseUnreachableError: it does not answer.
    """
    if settings.source_url is None:
        yield from _simulated(window, options, settings)
        return
    url = settings.source_url.get_secret_value()
    key = str(options.get("key", "id"))
    with connect(url) as connection:
        reader = TableReader(connection, str(options.get("table", "public.orders")), [key], "updated_at")
        for page in reader.of_day(window.day, "created_at", _PAGE):
            for row in page:
                # Decimals as the text that they are: a float would have other digits.
                columns = json.loads(row.value, parse_float=str)
                yield {"source": shown(url), "order_id": columns[key], **columns}


def _simulated(window: Window, options: dict[str, Any], settings: Settings) -> Iterator[dict[str, Any]]:
    for row in shop.orders(window, options, settings):
        yield {
            "source": "simulated",
            "order_id": row["order_id"],
            "customer_id": row["customer_id"],
            "status": row["status"],
            "amount": row["quantity"] * row["unit_price"],
            "created_at": row["created_at"],
            "updated_at": row["created_at"],
        }
