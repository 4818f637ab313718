"""What happens in each round of a soak, drawn from the seed alone. Pure: no clock, no I/O.

Here: choices. Not here: carrying them out (`soak.run`).
"""

import random
from dataclasses import dataclass

from lakehouse.engine.crash import DRAIN_POINTS

_BATCH_ROWS = (40, 80, 160)
_MOST_PASSES = 3
_MORE_EVENTS = 300
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
    always events enough for the point to be passed so often. The first round has neither rival nor restart: even the
    shortest soak kills its worker.
    """
    turn, place = divmod(number, len(DRAIN_POINTS))
    points = list(DRAIN_POINTS)
    # Simulated faults: a seed matters, secrecy does not.
    random.Random(f"{seed}/points/{turn}").shuffle(points)  # noqa: S311
    source = random.Random(f"{seed}/round/{number}")  # noqa: S311
    is_first = number == 0
    nth = 1 if is_first else source.randint(1, _MOST_PASSES)
    batch_rows = source.choice(_BATCH_ROWS)
    return Round(
        number=number,
        events=nth * batch_rows + source.randint(0, _MORE_EVENTS),
        batch_rows=batch_rows,
        point=points[place],
        nth=nth,
        rival=not is_first and source.random() < _RIVAL_SHARE,
        restart_broker=not is_first and source.random() < _RESTART_SHARE,
    )
