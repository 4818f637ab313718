"""How fast a soak goes, in words: batches a minute, and whether the wanted number can be reached. Pure: no clock.

Here: the arithmetic and its words. Not here: when it is said (`soak.run`).
"""


def pace_of(batches: int, seconds: float, *, wanted: int | None, seconds_left: float) -> str:
    """The pace so far and what follows from it for the rest.

    Args:
        batches: Micro-batches so far.
        seconds: Time they took.
        wanted: How many there are to be; None when only the time counts.
        seconds_left: Until the time is up.
    """
    per_minute = 60 * batches / seconds if seconds > 0 else 0.0
    said = f"{per_minute:.1f} batches/min"
    if wanted is None or per_minute == 0:
        return f"{said}, {_minutes(seconds_left)} left"
    missing = 60 * max(0, wanted - batches) / per_minute
    if missing > seconds_left:
        reached = batches + int(per_minute * max(0.0, seconds_left) / 60)
        return f"{said}, {_minutes(seconds_left)} left: about {reached:,} of {wanted:,}"
    return f"{said}, {wanted:,} in {_minutes(missing)}"


def _minutes(seconds: float) -> str:
    return f"{max(0.0, seconds) / 60:.0f} min"
