"""What a month would cost in other people's warehouses, by the prices in `infra/costs.yaml`.

Here: the arithmetic. Not here: prices, which are the file's and the reader's own.
"""

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lakehouse.errors import UsageError
from lakehouse.settings import PROJECT_ROOT

PRICES = PROJECT_ROOT / "infra" / "costs.yaml"


class Price(BaseModel):
    """US dollars: per GB stored for a month, per TB scanned, per hour running at `size`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    storage: float = Field(ge=0)
    scanned: float = Field(ge=0)
    running: float = Field(ge=0)
    size: str


class Month(BaseModel):
    """What a month costs somewhere, in US dollars."""

    warehouse: str
    size: str
    storage: float
    queries: float

    @property
    def total(self) -> float:
        """Storage and queries."""
        return self.storage + self.queries


def load_prices(path: Path = PRICES) -> dict[str, Price]:
    """The table of prices.

    Raises:
        UsageError: the file is not as its first lines say.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))["warehouses"]
        return {name: Price.model_validate(price) for name, price in found.items()}
    except (ValidationError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise UsageError(f"{path} is no table of prices.", why=str(error).splitlines()[0]) from error


def estimate(prices: dict[str, Price], *, stored_gb: float, scanned_gb: float, hours: float) -> list[Month]:
    """A month in each warehouse, the cheapest first.

    Args:
        prices: As `load_prices` gives them.
        stored_gb: Data kept all month.
        scanned_gb: Data that all queries of the month read.
        hours: Hours of the month in which queries run.

    Raises:
        UsageError: for a negative figure.
    """
    for what, figure in (("size", stored_gb), ("amount to scan", scanned_gb), ("number of hours", hours)):
        if not figure >= 0:
            raise UsageError(f"A {what} of {figure:g} is not possible.", fix="Give 0 or more.")
    months = [
        Month(
            warehouse=name,
            size=price.size,
            storage=stored_gb * price.storage,
            queries=scanned_gb / 1000 * price.scanned + hours * price.running,
        )
        for name, price in prices.items()
    ]
    return sorted(months, key=lambda month: (month.total, month.warehouse))
