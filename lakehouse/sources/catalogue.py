"""The simulated shops: products whose prices and names change slowly, stores, ways to pay, discounts, their weights.

Here: the data of the simulation. Not here: events (`sources.sales`), rules about them (the stream's contract).
"""

import random
from dataclasses import dataclass

# Category: (weight in sales, lowest and highest price in cents, things sold).
CATEGORIES: dict[str, tuple[int, int, int, tuple[str, ...]]] = {
    "Grocery": (24, 99, 2_499, ("Coffee Beans", "Olive Oil", "Pasta", "Green Tea", "Honey", "Granola", "Chocolate")),
    "Clothing": (18, 1_299, 14_999, ("T-Shirt", "Jeans", "Hoodie", "Rain Jacket", "Socks", "Scarf", "Dress")),
    "Electronics": (
        16,
        1_499,
        129_900,
        ("Headphones", "Keyboard", "Monitor", "Charger", "Webcam", "Speaker", "Tablet"),
    ),
    "Home": (12, 799, 39_900, ("Lamp", "Cushion", "Frying Pan", "Towel Set", "Vase", "Kettle", "Blanket")),
    "Books": (10, 599, 5_999, ("Cookbook", "Thriller", "Atlas", "Biography", "Poetry Book", "Travel Guide")),
    "Beauty": (8, 399, 8_999, ("Face Cream", "Shampoo", "Perfume", "Soap", "Sun Lotion", "Lip Balm")),
    "Sports": (6, 899, 49_900, ("Yoga Mat", "Dumbbell", "Football", "Tennis Racket", "Water Bottle", "Helmet")),
    "Toys": (4, 499, 9_999, ("Puzzle", "Board Game", "Building Blocks", "Doll", "Kite", "Train Set")),
    "Garden": (2, 299, 29_900, ("Plant Pot", "Garden Hose", "Pruning Shears", "Bird House", "Lawn Seed")),
}
BRANDS = ("Aurora", "Birch", "Cobalt", "Delta", "Ember")

# (store_id, store_location, weight in sales)
STORES: tuple[tuple[str, str, int], ...] = (
    ("STORE_ONLINE_WEB", "Online", 34),
    ("STORE_NEW_YORK_MIDTOWN", "New York", 14),
    ("STORE_NEW_YORK_BROOKLYN", "New York", 9),
    ("STORE_LOS_ANGELES_VENICE", "Los Angeles", 10),
    ("STORE_CHICAGO_LOOP", "Chicago", 9),
    ("STORE_HOUSTON_GALLERIA", "Houston", 7),
    ("STORE_PHOENIX_CENTRAL", "Phoenix", 5),
    ("STORE_SEATTLE_PIKE", "Seattle", 5),
    ("STORE_BOSTON_HARBOR", "Boston", 4),
    ("STORE_MIAMI_BEACH", "Miami", 3),
)
PAYMENT_METHODS: tuple[tuple[str, int], ...] = (
    ("Credit Card", 42),
    ("Debit Card", 25),
    ("PayPal", 14),
    ("Apple Pay", 10),
    ("Cash", 7),
    ("Gift Card", 2),
)
# As written in the event, and weight.
DISCOUNTS: tuple[tuple[str, int], ...] = (("0.0", 68), ("0.05", 10), ("0.1", 12), ("0.15", 5), ("0.2", 4), ("0.25", 1))
QUANTITIES: tuple[tuple[int, int], ...] = ((1, 62), (2, 20), (3, 8), (4, 5), (5, 3), (10, 2))
CUSTOMERS = 20_000
FIRST_CUSTOMER = 10_000

# One product in this many is changed per UTC day; every fourth change is a new name, the others a new price.
DAYS_BETWEEN_CHANGES = 30
_NAME_CHANGE_EVERY = 4
_CATALOGUE_SEED = 20_240_115


@dataclass(frozen=True)
class Product:
    """One product as sold on one day. `price` in cents; `weight` is its share of sales before normalising."""

    product_id: str
    name: str
    category: str
    price: int
    weight: float


def catalogue(day: int) -> list[Product]:
    """All products as they are on a day.

    Args:
        day: Days since 1970-01-01, UTC. The same day always gives the same catalogue, whoever asks.
    """
    rng = random.Random(_CATALOGUE_SEED)
    products = []
    number = 1000
    for category, (weight, lowest, highest, things) in CATEGORIES.items():
        names = [(thing, brand) for thing in things for brand in BRANDS]
        for rank, (thing, brand) in enumerate(names, start=1):
            number += 1
            # Cheap things are common, dear ones rare: uniform in the logarithm of the price.
            base = round(lowest * (highest / lowest) ** rng.random())
            changes = (day + number) // DAYS_BETWEEN_CHANGES
            products.append(
                Product(
                    product_id=f"{category}_{thing}_{number}".upper().replace(" ", "_").replace("-", "_"),
                    name=_name(brand, thing, changes),
                    category=category,
                    price=_price(base, number, changes),
                    weight=weight / rank**0.7,
                )
            )
    return products


def _price(base: int, number: int, changes: int) -> int:
    priced = changes - changes // _NAME_CHANGE_EVERY
    step = random.Random(f"{number}/{priced}").uniform(-0.12, 0.12)
    return max(1, round(base * (1 + step)))


def _name(brand: str, thing: str, changes: int) -> str:
    edition = changes // _NAME_CHANGE_EVERY % 9 + 1
    return f"{brand} {thing}" if edition == 1 else f"{brand} {thing} {edition}"
