"""Published COVID-19 reports for the pipeline `covid_etl`: a day's publications as rows, refused ones, and as messages.

Here: what the pipeline calls. Not here: files and their order (`report`, `publications`), HTTP (`download`), the
pipeline itself (`defs/batch/covid_etl`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.contracts.window import Window
from lakehouse.settings import Settings
from lakehouse.sources.covid.download import download
from lakehouse.sources.covid.publications import Publication, Refused, Whole, find_publications, judge

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SAMPLE = Path(__file__).parent / "sample"
STREAM = "covid_updates"
_CHUNK = 2_000


def places(window: Window, options: dict[str, Any], settings: Settings) -> Iterator[dict[str, Any]]:
    """Every place of every whole report that was published within the window.

    With LAKEHOUSE_COVID_URL they come from there. Else option `folder`: where the reports are, below
    `<LAKEHOUSE_HOME>/landing`; while it is not there, the bundled sample.

    Raises:
        SourceUnavailableError, CircuitOpenError: the service gave no whole answer; run the step again.
    """
    for found in _judged(window, options, settings):
        if isinstance(found, Whole):
            yield from rows(found)


def refused(window: Window, options: dict[str, Any], settings: Settings) -> Iterator[dict[str, Any]]:
    """Every report published within the window that was refused, with the reason. Options as `places`."""
    for found in _judged(window, options, settings):
        if isinstance(found, Refused):
            publication = found.publication
            yield {
                "source_file": _name(publication),
                "report_date": publication.report_date,
                "published_at": publication.published_at,
                "reason": found.reason,
            }


def rows(report: Whole) -> Iterator[dict[str, Any]]:
    """A report's places as the stream's fields, apart from `reported_for`, which follows from the day."""
    publication = report.publication
    for place in report.places:
        yield {
            "report_date": publication.report_date,
            "published_at": publication.published_at,
            **place._asdict(),
            "places_in_report": len(report.places),
            "source_file": _name(publication),
        }


def publish(context: Any) -> dict[str, Any]:
    """Send the window's rows of the pipeline's last table to the stream's topic, keyed by place.

    Sent again they are the same events: the stream's key makes repeats one.

    Raises:
        TopicMissingError, BrokerUnreachableError: may pass; run the step again.
    """
    from lakehouse.contracts.load import load_stream
    from lakehouse.kafka.client import producer_config
    from lakehouse.kafka.offsets import read_topic_state
    from lakehouse.sources.producer import EventSender

    topic = str(context.options.get("topic") or load_stream(STREAM).topic.name)
    # A missing topic is said at once; the producer would only time out.
    read_topic_state(context.settings, topic)
    sender = EventSender(context.settings, topic, producer_config(context.settings))
    frame: DataFrame = context.read(str(context.options["table"]))
    events = frame.drop("places_loaded").selectExpr("location", "to_json(struct(*)) AS event")
    batch: list[tuple[str | None, bytes]] = []
    for row in events.toLocalIterator():
        batch.append((row["location"], row["event"].encode()))
        if len(batch) >= _CHUNK:
            sender.send(batch)
            batch = []
    sender.send(batch)
    sender.settle()
    sender.raise_if_failed(f"{STREAM} {context.window.key}")
    return {"topic": topic, "sent": sender.sent}


def _judged(window: Window, options: dict[str, Any], settings: Settings) -> Iterator[Whole | Refused]:
    folder = settings.home / "landing" / str(options.get("folder", "covid"))
    if settings.covid_url is not None:
        folder = download(window, settings, settings.covid_url)
    known = find_publications(folder if folder.is_dir() else SAMPLE)
    wanted = [publication for publication in known if window.start <= publication.published_at < window.end]
    yield from judge(wanted, known)


def _name(publication: Publication) -> str:
    return f"{publication.path.parent.name}/{publication.path.name}"
