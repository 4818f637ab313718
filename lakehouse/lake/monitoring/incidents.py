"""Incidents as facts: the handler that always runs, and telling all handlers of the settings.

Here: writing to `ops/events`. Not here: what an incident is (`ops.incidents`), mail or chat.
"""

from dataclasses import asdict

from lakehouse.lake.events import Fact, write_facts
from lakehouse.lake.paths import LakePaths
from lakehouse.ops.incidents import Incident, handlers_named, tell
from lakehouse.settings import Settings


def write_incident(incident: Incident, settings: Settings) -> None:
    """Append the incident to `ops/events` as a fact of kind `alert`."""
    details = {name: value for name, value in asdict(incident).items() if name not in {"at", "subject"} and value}
    fact = Fact(incident.subject, "ops", "alert", details=details, at=incident.at)
    write_facts(LakePaths.of(settings), [fact])


def report_incident(incident: Incident, settings: Settings) -> list[Exception]:
    """Write the incident down and tell the handlers that `LAKEHOUSE_INCIDENT_HANDLERS` names.

    Returns:
        What those handlers raised that failed; the others were told.
    """
    return tell(incident, [write_incident, *handlers_named(settings.incident_handlers)], settings)
