"""A simulated shop database for batch pipelines: the orders, customers and products of one window, by seed.

Here: rows as a database would give them. Not here: sales events (`sources.sales`). The same window gives the same rows
in every process and at any time: extracting a day again is extracting the same day.
"""

import random
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

from lakehouse.contracts.window import Window
from lakehouse.settings import Settings

CUSTOMERS = 200
PRODUCTS = 40
_CITIES = ("Berlin", "Lisbon", "Oslo", "Porto", "Vienna")
_CATEGORIES = ("Books", "Garden", "Grocery", "Home", "Toys")
_STATUSES = ("paid", "paid", "paid", "shipped", "cancelled")


def orders(window: Window, options: dict[str, Any], settings: Settings) -> Iterator[dict[str, Any]]:  # noqa: ARG001 - signature of sources
    """Orders created within the window. Options: `rows` (300), `seed` (1), `bad` (0): how many have a wrong price."""
    dice = random.Random(f"orders/{options.get('seed', 1)}/{window.key}")
    seconds = int((window.end - window.start).total_seconds())
    rows, bad = int(options.get("rows", 300)), int(options.get("bad", 0))
    for number in range(rows):
        product = dice.randrange(PRODUCTS)
        price = _price(product)
        yield {
            "order_id": f"{window.start:%Y%m%d%H%M}-{number:05d}",
            "customer_id": f"C{dice.randrange(CUSTOMERS):04d}",
            "product_id": f"P{product:03d}",
            "quantity": dice.randint(1, 5),
            "unit_price": -price if number < bad else price,
            "status": dice.choice(_STATUSES),
            "created_at": window.start + timedelta(seconds=dice.randrange(seconds)),
        }


def customers(window: Window, options: dict[str, Any], settings: Settings) -> Iterator[dict[str, Any]]:  # noqa: ARG001 - signature of sources
    """Every customer as known at the end of the window: one in a hundred has moved on any day."""
    seed = options.get("seed", 1)
    for number in range(CUSTOMERS):
        moves = random.Random(f"customers/{seed}/{window.key}/{number}").randrange(100) == 0
        home = random.Random(f"home/{seed}/{number}").randrange(len(_CITIES))
        yield {
            "customer_id": f"C{number:04d}",
            "name": f"Customer {number}",
            "city": _CITIES[(home + moves) % len(_CITIES)],
        }


def products(window: Window, options: dict[str, Any], settings: Settings) -> Iterator[dict[str, Any]]:  # noqa: ARG001 - signature of sources
    """The catalogue."""
    for number in range(PRODUCTS):
        yield {
            "product_id": f"P{number:03d}",
            "name": f"Product {number}",
            "category": _CATEGORIES[number % len(_CATEGORIES)],
            "list_price": _price(number),
        }


def _price(product: int) -> Decimal:
    return Decimal(199 + product * 137) / 100
