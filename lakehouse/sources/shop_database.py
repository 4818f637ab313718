"""The shop's own database with simulated orders in it, for when there is no real shop.

Here: a day's orders into `public.orders`. Not here: the orders (`sources.batch.shop`), its tables (`sources.captured`),
reading them (`sources.database`).
"""

from datetime import date

from lakehouse.contracts.window import window_of
from lakehouse.engine.postgres import connect
from lakehouse.settings import Settings
from lakehouse.sources.batch.shop import orders
from lakehouse.sources.captured import init_source
from lakehouse.sources.database import source_address

_INSERT = """
insert into public.orders (id, customer_id, amount, status, created_at) values (%s, %s, %s, %s, %s)
on conflict (id) do nothing
"""


def take_orders(settings: Settings, day: date, *, rows: int, seed: int, bad: int) -> int:
    """Let the shop take the orders of a day; those that it has stay as they are. Returns how many are new.

    Args:
        settings: LAKEHOUSE_SOURCE_URL; tables that are missing are made.
        day: When the orders were made (UTC). They were written now: an extract by watermark must find them.
        rows: How many.
        seed: The same seed and day give the same orders.
        bad: How many of them have a negative amount.

    Raises:
        UsageError: no database is configured.
        DatabaseUnreachableError: it does not answer.
    """
    init_source(settings, tables_only=True)
    window = window_of("daily", day.isoformat(), day)
    made = [
        (
            int(row["order_id"].replace("-", "")),
            int(row["customer_id"].removeprefix("C")),
            row["quantity"] * row["unit_price"],
            row["status"],
            row["created_at"],
        )
        for row in orders(window, {"rows": rows, "seed": seed, "bad": bad}, settings)
    ]
    with connect(source_address(settings)) as connection, connection.cursor() as cursor:
        cursor.executemany(_INSERT, made)
        return cursor.rowcount
