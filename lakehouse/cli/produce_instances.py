"""Several producers at once for `lakehouse produce sales --instances N`: one process each, one summary.

Here: starting, stopping and adding up. Not here: what one producer does (`cli.produce`).
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import typer

from lakehouse.cli.console import out, print_json
from lakehouse.errors import EXIT_COULD_NOT_ASK, EXIT_INTERRUPTED, EXIT_OK
from lakehouse.sources.producer import stop_on_signals

_POLL_SECONDS = 0.1


def produce_with_instances(
    instances: int, options: Mapping[str, object], *, count: int | None, seed: int, as_json: bool
) -> NoReturn:
    """Run the command so many times at once, print one summary and end.

    Args:
        instances: How many.
        options: By their names on the command line; None and False were not given, True is a flag.
        count: Events of all together.
        seed: Of the first.
        as_json: How the summary is printed.

    Raises:
        typer.Exit: with the worst of their exit codes.
    """
    given: list[str] = []
    for name, value in options.items():
        if value is not None and value is not False:
            given += [name] if value is True else [name, str(value)]
    result, code = run_instances(given, instances=instances, count=count, seed=seed)
    if as_json:
        print_json(result)
    else:
        out.print(
            f"{instances} producers sent {result['sent']:,} · failed {result['failed']:,} · {result['seconds']:.1f} s"
        )
    raise typer.Exit(code)


def run_instances(arguments: list[str], *, instances: int, count: int | None, seed: int) -> tuple[dict[str, Any], int]:
    """Run `lakehouse produce sales` so many times at once, each with a seed of its own, and add up what they say.

    Args:
        arguments: Options that all of them get.
        instances: How many.
        count: Events of all together; None for no end.
        seed: Of the first; the others follow.

    Returns:
        The summary and the exit code: the worst of theirs.
    """
    shares = [None if count is None else (count + number) // instances for number in range(instances)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, stop_on_signals() as stop:
        outputs = [Path(folder) / f"{number}.json" for number in range(instances)]
        children = []
        for number, share in enumerate(shares):
            own = ["--seed", str(seed + number), *(["--count", str(share)] if share is not None else [])]
            command = [sys.executable, "-m", "lakehouse.cli.main", "produce", "sales", *arguments, *own, "--json"]
            with outputs[number].open("wb") as output:
                # A session of its own: Ctrl-C reaches it once, through us.
                children.append(subprocess.Popen(command, stdout=output, env=os.environ, start_new_session=True))
        told = False
        while any(child.poll() is None for child in children):
            if stop.is_set() and not told:
                told = True
                for child in children:
                    child.send_signal(signal.SIGINT)
            time.sleep(_POLL_SECONDS)
        summaries = [json.loads(text) for output in outputs if (text := output.read_text(encoding="utf-8"))]
    codes = {child.returncode for child in children}
    total: Counter[str] = Counter()
    for summary in summaries:
        total.update({name: summary[name] for name in ("sent", "failed", "bad", "duplicates")})
    seconds = time.monotonic() - began
    result = {
        "topic": summaries[0]["topic"] if summaries else None,
        "instances": instances,
        **{name: total[name] for name in ("sent", "failed", "bad", "duplicates")},
        "seconds": round(seconds, 3),
        "events_per_second": round(sum(summary["events_per_second"] for summary in summaries), 1),
        "seed": seed,
    }
    return result, _worst(codes)


def _worst(codes: set[int]) -> int:
    if codes <= {EXIT_OK}:
        return EXIT_OK
    others = codes - {EXIT_OK, EXIT_INTERRUPTED}
    return max(others, default=EXIT_INTERRUPTED) if min(others, default=0) >= 0 else EXIT_COULD_NOT_ASK
