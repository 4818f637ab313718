"""`lakehouse config`: every setting, its value now, its meaning."""

import typer

from lakehouse.cli.console import print_json, print_table
from lakehouse.engine.spark_address import shown
from lakehouse.settings import Settings, load_settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def config(
    as_json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
    env_example: bool = typer.Option(False, "--env-example", help="Print the file .env.example."),
) -> None:
    """Show every setting, its value and its meaning.

    Example: lakehouse config --json
    """
    if env_example:
        typer.echo(render_env_example(), nl=False)
        return
    values = load_settings()
    values.spark_remote = shown(values.spark_remote)
    rows = [[field.alias, getattr(values, name), field.description] for name, field in Settings.model_fields.items()]
    if as_json:
        print_json({str(alias): value for alias, value, _ in rows})
    else:
        print_table("", ["setting", "value", "meaning"], rows)


def render_env_example() -> str:
    """The text of `.env.example`: every variable, commented out, with its meaning and default."""
    lines = [
        "# Every setting of the lakehouse. Copy to .env and uncomment what you change.",
        "# Made by: lakehouse config --env-example",
        "",
    ]
    for field in Settings.model_fields.values():
        default = "" if field.default is None else field.default
        if field.alias == "LAKEHOUSE_HOME":
            default = ".lakehouse"
        lines += [f"# {field.description}", f"# {field.alias}={default}", ""]
    return "\n".join(lines)
