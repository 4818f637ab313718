"""`python -m lakehouse_tests.integration.backfill_worker FOLDER BACKFILL`: daemons in a process that may be killed."""

import sys
from pathlib import Path

from lakehouse_tests.integration.backfills import has_ended, opened, work_off

if __name__ == "__main__":
    with opened(Path(sys.argv[1])) as instance:
        work_off(instance, until=lambda: has_ended(instance, sys.argv[2]))
