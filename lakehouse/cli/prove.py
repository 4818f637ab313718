"""`lakehouse prove`: kill workers and the broker at random on a scratch lake, then verify that nothing was lost.

Here: the command and its last words. Not here: the soak (`lake.soak`).
"""

import random
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.console import err, out, print_json
from lakehouse.cli.signals import sigterm_as_ctrl_c
from lakehouse.contracts.load import load_stream
from lakehouse.errors import EXIT_UNHEALTHY
from lakehouse.settings import load_settings

if TYPE_CHECKING:
    from lakehouse.lake.soak.certificate import Certificate

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def prove(
    stream: Annotated[str, typer.Argument(help="The stream whose contract is put to the proof.")],
    minutes: Annotated[
        float, typer.Option(help="Time for the rounds; the start and the proof come on top.", min=0.01, max=10_000)
    ] = 5,
    batches: Annotated[int | None, typer.Option(help="End earlier, after so many micro-batches.", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed makes the same choices.", min=0)] = None,
    rounds: Annotated[int | None, typer.Option(help="Exactly so many rounds.", min=1, hidden=True)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The certificate as one JSON object on stdout.")] = False,
) -> None:
    """Put exactly-once to the proof on a broker, a Spark and a lake of its own; live ones stay as they are.

    Each round sends events, lets a worker drain them and kills it at a crash point; the broker is killed now and then.
    At the end `verify` runs, and a dated certificate is stored in LAKEHOUSE_HOME/certificates.

    Exit code 0: everything holds; 10: findings, with the command that replays them; 1: it could not be carried out.

    Examples: lakehouse prove sales --minutes 5

    lakehouse prove sales --batches 1000 --minutes 60 --seed 7
    """
    contract = load_stream(stream)
    settings = load_settings()
    from lakehouse.lake.soak.certificate import store
    from lakehouse.lake.soak.run import soak

    chosen = random.SystemRandom().randrange(2**32) if seed is None else seed
    err.print(f"seed {chosen}", style="dim")
    with sigterm_as_ctrl_c():
        certificate = soak(contract, minutes=minutes, seed=chosen, batches=batches, rounds=rounds, say=_say)
    paths = store(certificate, settings.home)
    if as_json:
        print_json(certificate.as_dict())
    else:
        _show(certificate)
    err.print(f"certificate: {paths[1]}", markup=False, soft_wrap=True)
    if not certificate.ok:
        err.print(f"replay: {certificate.replay}", markup=False, soft_wrap=True)
        raise typer.Exit(EXIT_UNHEALTHY)


def _say(line: str) -> None:
    err.print(line, markup=False, soft_wrap=True)


def _show(certificate: "Certificate") -> None:
    out.print(
        f"{certificate.rounds} rounds · {sum(certificate.kills.values())} workers and "
        f"{certificate.broker_restarts} brokers killed · {certificate.batch_count} · {certificate.seconds:.0f} s"
    )
    out.print(certificate.accounts)
    for note in certificate.notes:
        out.print(f"note: {note}", markup=False)
    for finding in certificate.findings:
        out.print(f"✗ {finding}", style="red", markup=False)
    if certificate.ok:
        out.print("✓ 0 lost · 0 twice · exactly-once holds", style="green")
