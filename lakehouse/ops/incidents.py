"""Something that a person should hear of, and the functions that are told: the hook on which alert channels hang.

Here: the shape and the telling. Not here: who is told by default (`lake.monitoring.incidents`), channels such as mail
or chat.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from lakehouse.contracts.functions import function_named, function_problem
from lakehouse.errors import SettingsError
from lakehouse.settings import Settings

Kind = Literal["run_failed", "upstream_missing", "run_too_long"]


@dataclass(frozen=True)
class Incident:
    """One thing that went wrong.

    Attributes:
        kind: What sort of thing.
        subject: The job or pipeline concerned.
        message: One sentence.
        at: When it was noticed (UTC).
        run_id: Dagster's run, when there is one.
        partition: The window, when there is one.
        details: Anything else that is worth a line.
    """

    kind: Kind
    subject: str
    message: str
    at: datetime
    run_id: str = ""
    partition: str = ""
    details: dict[str, str] = field(default_factory=dict)


class Handler(Protocol):
    """A function that is told about incidents. Raise freely: the others are told all the same."""

    def __call__(self, incident: Incident, settings: Settings) -> None:
        """Take one incident."""


def handlers_named(names: str) -> list[Handler]:
    """The functions behind `module:name,module:name`.

    Raises:
        SettingsError: when one does not exist.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        problem = function_problem(name)
        if problem is not None:
            raise SettingsError(f"LAKEHOUSE_INCIDENT_HANDLERS={names!r} is not allowed: {problem}.")
    return [function_named(name) for name in wanted]


def tell(incident: Incident, handlers: Iterable[Handler], settings: Settings) -> list[Exception]:
    """Tell every handler; returns what those raised that failed."""
    failures = []
    for handler in handlers:
        try:
            handler(incident, settings)
        except Exception as failure:  # noqa: BLE001 - one broken channel must not silence the others
            failures.append(failure)
    return failures
