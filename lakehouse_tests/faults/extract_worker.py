"""An extract in a process to be killed: `python -m lakehouse_tests.faults.extract_worker CONTRACT.json TABLE PAGE`."""

import sys
import threading
from pathlib import Path

from lakehouse.contracts.model import StreamContract
from lakehouse.settings import load_settings
from lakehouse.sources.extract import Extract, extract


def main() -> None:
    """Extract what changed, once."""
    contract = StreamContract.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    what = Extract(sys.argv[2], tuple(contract.key), page=int(sys.argv[3]))
    extract(contract, load_settings(), what, stop=threading.Event(), report=print)


if __name__ == "__main__":
    main()
