"""What brings data to the topics from inside Dagster: landing folders and HTTP sources. Here: assembly."""

import dagster as dg

from lakehouse.components.api_resource import ApiResource, poll_api
from lakehouse.components.landing import landed_files, send_landed_files


@dg.definitions
def sources() -> dg.Definitions:
    """The sensor on landing folders, its job, and the job that asks an HTTP source."""
    return dg.Definitions(jobs=[send_landed_files, poll_api], sensors=[landed_files], resources={"apis": ApiResource()})
