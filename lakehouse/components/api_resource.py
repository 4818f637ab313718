"""HTTP sources as a Dagster resource, and the job that asks one of them.

Here: delegation, with imports inside the methods. Not here: asking (`lakehouse.sources.http`), records, the file.
"""

from typing import Any

import dagster as dg

from lakehouse.components.failures import typed_failures
from lakehouse.settings import load_settings


class ApiResource(dg.ConfigurableResource[Any]):
    """The sources of `infra/sources/apis.yaml`, or of another file; retries and circuits are the client's."""

    file: str = ""

    def poll(self, name: str) -> dict[str, Any]:
        """Send everything since the watermark to the source's topic; pages and records sent."""
        from pathlib import Path

        from lakehouse.kafka.client import producer_config
        from lakehouse.kafka.offsets import read_topic_state
        from lakehouse.sources.api_config import APIS_FILE, load_api
        from lakehouse.sources.api_poll import PollTotals, poll_once
        from lakehouse.sources.rest import Watermarks, open_client

        settings = load_settings()
        source = load_api(name, Path(self.file) if self.file else APIS_FILE)
        marks = Watermarks(settings, read_topic_state(settings, source.topic).topic_id, name)
        totals = PollTotals()
        with open_client(settings, source) as client:
            poll_once(
                settings, source, client, marks, topic=source.topic, producer=producer_config(settings), totals=totals
            )
        return {"pages": totals.pages, "sent": totals.sent, "watermark": str(marks.read())}


class PollConfig(dg.Config):
    """Which source to ask."""

    source: str


@dg.op(description="Asks one HTTP source for what is new and sends it to its topic.")
def poll_source(context: dg.OpExecutionContext, config: PollConfig, apis: ApiResource) -> None:
    """One round over a source.

    Raises:
        dagster.Failure: with code, reason and fix; retried only when it may pass.
    """
    with typed_failures(context):
        figures = apis.poll(config.source)
    context.add_output_metadata(figures)
    context.log.info("%s: %s records of %s pages.", config.source, figures["sent"], figures["pages"])


@dg.job(name="poll_api", executor_def=dg.in_process_executor, description="Asks one HTTP source for what is new.")
def poll_api() -> None:
    """One op; its configuration names the source."""
    poll_source()
