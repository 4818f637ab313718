"""A relay in a process to be killed: `python -m lakehouse_tests.faults.relay_worker SOURCE TARGET`."""

import sys
import threading

from lakehouse.kafka.relay import add_fields, relay
from lakehouse.settings import load_settings

if __name__ == "__main__":
    enrich = add_fields({"region": "eu"})
    relay(load_settings(), sys.argv[1], sys.argv[2], enrich, idle_seconds=1, stop=threading.Event())
