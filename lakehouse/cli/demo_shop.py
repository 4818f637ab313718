"""The shop's database in the demo: a PostgreSQL of our own, a day's orders in it, and the extract that sends them.

Here: whose database it is, and the order of these steps. Not here: the server (`engine.embedded.postgres`), the orders
(`sources.shop_database`), reading them (`sources.extract`).
"""

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.errors import SetupError
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from lakehouse.engine.embedded.preparation import Report

_ORDERS = 300
# As `daily_etl` has it for the simulated shop.
_BAD, _SEED = 3, 7


def start_shop(settings: Settings, progress: "Report") -> str:
    """Start the embedded PostgreSQL; why there is no shop to read from, or an empty text when there is one."""
    from lakehouse.engine.embedded import stack
    from lakehouse.engine.embedded.state import StackFiles

    ours = StackFiles(settings.home).read_endpoints().get("LAKEHOUSE_SOURCE_URL")
    if settings.source_url is not None and settings.source_url.get_secret_value() != ours:
        return "LAKEHOUSE_SOURCE_URL is a database of your own, into which the demo writes nothing"
    try:
        stack.start(settings, ("postgres",), progress)
    except SetupError as error:
        return error.problem
    return ""


def send_orders(settings: Settings, contract: StreamContract) -> None:
    """Let the shop take yesterday's orders and send what is new in its table, as `lakehouse produce db` does."""
    from lakehouse.sources.extract import Extract, extract
    from lakehouse.sources.shop_database import take_orders

    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    is_unused = read_topic_state(settings, contract.topic.name).is_unused
    # An extract goes back a little, so that one right after another would send the same rows again.
    if take_orders(settings, yesterday, rows=_ORDERS, seed=_SEED, bad=_BAD) or is_unused:
        what = Extract("public.orders", key=tuple(contract.field(name).key for name in contract.key))
        extract(contract, settings, what, stop=threading.Event(), report=lambda _: None)
