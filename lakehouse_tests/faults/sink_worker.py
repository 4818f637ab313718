"""A load into PostgreSQL in a process to be killed: `python -m lakehouse_tests.faults.sink_worker CONTRACT.json`."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from lakehouse.contracts.model import StreamContract
from lakehouse.lake.sinks.postgres import load
from lakehouse.settings import load_settings


def main() -> None:
    """Load once and print the report."""
    contract = StreamContract.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(json.dumps(asdict(load(contract, load_settings()))), flush=True)


if __name__ == "__main__":
    main()
