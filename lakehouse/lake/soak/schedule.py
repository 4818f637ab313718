"""What happens in each round of a soak, drawn from the seed alone. Pure: no clock, no I/O.

Here: choices. Not here: carrying them out (`soak.run`).
"""

import random
from dataclasses import dataclass

from lakehouse.engine.crash import DRAIN_POINTS

# Small batches: a thousand of them are to be reached in the time of a long break.
_BATCH_ROWS = (20, 40, 80)
_MOST_BATCHES = 10
_MORE_BATCHES = 2
# Passed only by batches with a broken event; in batches of the smallest size every third has none.
_REJECTS_ONLY = ("after_quarantine", "before_dlq_flush", "after_dlq_flush")
_RIVAL_SHARE = 0.2
_RESTART_SHARE = 0.25


@dataclass(frozen=True)
class Round:
    """One round: events are sent, a worker drains them and is killed on the way.

    Attributes:
        number: From 0.
        events: Events sent before the worker starts.
        batch_rows: Rows in one micro-batch, at most.
        point: Where the worker is killed (`engine.crash`).
        nth: At which pass of that point.
        rival: A second worker, which nobody kills, drains beside it.
        restart_broker: The broker is killed after the events were sent, and comes back before the worker starts.
    """

    number: int
    events: int
    batch_rows: int
    point: str
    nth: int
    rival: bool
    restart_broker: bool

    @property
    def crash_at(self) -> str:
        """The value of LAKEHOUSE_CRASH_AT."""
        return f"{self.point}:{self.nth}"


def round_of(seed: int, number: int) -> Round:
    """The round of this number; the same for the same seed, whatever came before.

    Every crash point has its turn in each run of as many rounds as there are points, in an order of its own. There are
    always events for more batches than passes: a killed worker leaves about as much behind as it found. The first round
    has neither rival nor restart: even the shortest soak kills its worker.
    """
    turn, place = divmod(number, len(DRAIN_POINTS))
    points = list(DRAIN_POINTS)
    # Simulated faults: a seed matters, secrecy does not.
    random.Random(f"{seed}/points/{turn}").shuffle(points)  # noqa: S311
    source = random.Random(f"{seed}/round/{number}")  # noqa: S311
    is_first = number == 0
    batches = 1 if is_first else source.randint(1, _MOST_BATCHES)
    batch_rows = source.choice(_BATCH_ROWS)
    point = points[place]
    return Round(
        number=number,
        events=batch_rows * (batches + source.randint(1, _MORE_BATCHES)) + source.randint(0, batch_rows),
        batch_rows=batch_rows,
        point=point,
        nth=-(-batches // 2) if point in _REJECTS_ONLY else batches,
        rival=not is_first and source.random() < _RIVAL_SHARE,
        restart_broker=not is_first and source.random() < _RESTART_SHARE,
    )
