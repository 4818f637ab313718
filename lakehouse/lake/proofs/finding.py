"""What a proof returns. Here: shapes only."""

from dataclasses import dataclass
from typing import Literal

Check = Literal["storage", "contiguity", "bronze", "schema", "silver", "quarantine", "history", "gold"]


@dataclass(frozen=True)
class Finding:
    """Something that does not hold. `problem` names the rows, offsets or totals concerned."""

    stream: str
    check: Check
    problem: str
