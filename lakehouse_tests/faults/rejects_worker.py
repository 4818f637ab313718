"""A replay in a process of its own, to be killed: `python -m … VERB CONTRACT.json`, VERB being replay or resend."""

import sys
from pathlib import Path

from lakehouse.contracts.model import StreamContract
from lakehouse.lake.rejects.outcome import Choice
from lakehouse.lake.rejects.replay import replay
from lakehouse.lake.rejects.resend import resend
from lakehouse.settings import load_settings


def main() -> None:
    """Replay all of quarantine, or send all open dead letters again with quantity 1."""
    contract = StreamContract.model_validate_json(Path(sys.argv[2]).read_text(encoding="utf-8"))
    if sys.argv[1] == "replay":
        print(replay(contract, load_settings(), Choice()))
    else:
        print(resend(contract, load_settings(), [], {"quantity": "1"}, max_retries=3))


if __name__ == "__main__":
    main()
