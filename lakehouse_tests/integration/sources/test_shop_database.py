"""The shop's database with simulated orders: the same however often, and what the documented extract reads."""

from datetime import date

from lakehouse.contracts.load import load_stream
from lakehouse.engine.postgres import connect
from lakehouse.settings import load_settings
from lakehouse.sources.database import TableReader
from lakehouse.sources.shop_database import take_orders

DAY = date(2026, 11, 21)


def test_a_day_is_taken_once_and_the_next_one_besides(database: str) -> None:
    settings = load_settings()
    assert take_orders(settings, DAY, rows=50, seed=7, bad=3) == 50
    assert take_orders(settings, DAY, rows=50, seed=7, bad=3) == 0
    assert take_orders(settings, date(2026, 11, 22), rows=50, seed=7, bad=3) == 50
    with connect(database) as connection:
        counted = connection.execute(
            "select created_at::date, count(*), count(*) filter (where amount < 0), bool_and(updated_at >= created_at)"
            " from orders where created_at < '2026-11-22' group by 1"
        ).fetchall()
        slots = connection.execute(
            "select count(*) from pg_replication_slots where database = current_database()"
        ).fetchall()
    assert counted == [(DAY, 50, 3, True)]
    assert slots == [(0,)], "a slot that nobody reads keeps the log"


def test_the_stream_of_extracts_finds_its_key_in_the_shops_table(database: str) -> None:
    """The documented command names no key: it is the stream's, by the name that the table gives it."""
    take_orders(load_settings(), DAY, rows=5, seed=7, bad=0)
    contract = load_stream("orders_batch")
    key = [contract.field(name).key for name in contract.key]
    with connect(database) as connection:
        (page,) = TableReader(connection, "public.orders", key, "updated_at").of_day(DAY, "created_at", 10)
    assert len(page) == 5
