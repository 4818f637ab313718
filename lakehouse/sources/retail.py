"""Daily files of a simulated gift shop, written as the public data set of the stream `retail` writes them.

Here: the lines of a day, by seed, and the file. Not here: reading and sending it (`sources.csv_files`,
`sources.landing`). As in the real files some lines are cancellations, some come twice, a third names no customer, and
some are stock adjustments, which the contract rejects.
"""

import csv
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
Line = tuple[str, ...]

_ARTICLES = (
    ("10002", "INFLATABLE GLOBE", 85),
    ("20725", "LUNCH BAG RED SPOTTY", 165),
    ("21730", "GLASS STAR LANTERN", 495),
    ("22423", "CAKE STAND THREE TIERS", 1275),
    ("22720", "SET OF 3 CAKE TINS", 495),
    ("47566", "PARTY BUNTING", 495),
    ("84879", "BIRD ORNAMENT", 169),
    ("85123A", "HANGING HEART LIGHT HOLDER", 255),
    ("POST", "POSTAGE", 1800),
)
_COUNTRIES = ("United Kingdom",) * 17 + ("France", "Germany", "EIRE")
_LINES_OF_INVOICE = 8
_OPENS, _OPEN_SECONDS = time(8, 0), 10 * 3_600
# Shares of lines: a repeat of the one before, an adjustment of the stock; of invoices: a cancellation, a guest's.
_TWICE, _ADJUSTED, _CANCELLED, _GUEST = 0.01, 0.01, 0.05, 0.33


def lines_of(day: date, count: int, *, seed: int) -> Iterator[Line]:
    """The day's lines in the order of `COLUMNS`, invoice by invoice; the same day and seed give the same lines."""
    dice = random.Random(f"retail/{seed}/{day}")
    opened = datetime.combine(day, _OPENS, UTC)
    # Numbers go on from day to day, as the shop's do.
    first = 500_000 + day.toordinal() * 997 % 400_000
    line: Line = ()
    head: tuple[str, str, str, str] = ("", "", "", "")
    for number in range(count):
        if number % _LINES_OF_INVOICE == 0:
            invoice = f"{'C' if dice.random() < _CANCELLED else ''}{first + number // _LINES_OF_INVOICE}"
            written = opened + timedelta(seconds=number * _OPEN_SECONDS // count)
            # The files write customers as fractions.
            customer = "" if dice.random() < _GUEST else f"{dice.randint(12_346, 18_287)}.0"
            head = (invoice, f"{written:%Y-%m-%d %H:%M:%S}", customer, dice.choice(_COUNTRIES))
        elif dice.random() < _TWICE:
            yield line
            continue
        invoice, written_at, customer, country = head
        code, text, pence = dice.choice(_ARTICLES)
        pieces = dice.choice((1, 1, 2, 3, 6, 12, 24))
        is_back = invoice.startswith("C") != (dice.random() < _ADJUSTED)
        price = f"{pence // 100}.{pence % 100:02d}"
        line = (invoice, code, text, str(-pieces if is_back else pieces), written_at, price, customer, country)
        yield line


def write_day(folder: Path, day: date, count: int, *, seed: int) -> Path:
    """Write a day's file into a folder, which is made when it is missing; it is there whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"retail_{day}.csv"
    draft = folder / f".{path.name}.part"
    with draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(lines_of(day, count, seed=seed))
    return draft.replace(path)
