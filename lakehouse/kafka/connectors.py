"""Connector configurations: the templates in `infra/connect/`, and what fits them to this environment.

Here: finding, reading, rendering. Not here: sending them to Connect (`kafka.connect`).

A secret is never rendered: templates carry `${env:NAME}`, which Connect replaces from its own environment.
"""

import json
import re
from pathlib import Path
from typing import NamedTuple

from lakehouse.errors import UsageError
from lakehouse.settings import PROJECT_ROOT, Settings

TEMPLATES = PROJECT_ROOT / "infra" / "connect"
_SECRET = re.compile(r"password|passphrase|private\.key|secret|token", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\$\{env:\w+\}")
_POSTGRES = "io.debezium.connector.postgresql.PostgresConnector"


class Connector(NamedTuple):
    """A connector as Connect wants it: its name and its configuration."""

    name: str
    config: dict[str, str]


def template_names(folder: Path = TEMPLATES) -> list[str]:
    """What can be rendered."""
    return sorted(path.stem for path in folder.glob("*.json"))


def render(
    template: str, settings: Settings | None = None, changes: dict[str, str] | None = None, folder: Path = TEMPLATES
) -> Connector:
    """A template without its notes.

    Args:
        template: Name of a file in the folder, without `.json`.
        settings: Gives a PostgreSQL source the address of LAKEHOUSE_SOURCE_URL; None leaves the template's.
        changes: Configuration keys and values that win.
        folder: Where the templates are.

    Raises:
        UsageError: there is no such template, or a secret would stand in it in clear text.
    """
    if template not in template_names(folder):
        raise UsageError(
            f"There is no connector template {template!r}.", fix=f"Use one of: {', '.join(template_names(folder))}."
        )
    document = json.loads((folder / f"{template}.json").read_text(encoding="utf-8"))
    config: dict[str, str] = {key: value for key, value in document["config"].items() if key[:1] != "_"}
    if settings is not None and config["connector.class"] == _POSTGRES:
        config |= _source(settings)
    config |= changes or {}
    for key, value in config.items():
        if _SECRET.search(key) and not _PLACEHOLDER.fullmatch(value):
            raise UsageError(
                f"{key} of connector {document['name']} is written in clear text.",
                why="Connect shows configurations to whoever asks it, and keeps them in a topic.",
                fix=f"Write {key}=${{env:NAME}} and set NAME in the environment of Connect.",
            )
    return Connector(document["name"], config)


def avro_settings(settings: Settings) -> dict[str, str]:
    """What a connector says to write keys and values as Avro, in Confluent's wire format, by the embedded converter.

    Raises:
        UsageError: no registry is configured, or it is none that the embedded converter can speak to.
    """
    url = settings.schema_registry_url or ""
    root, protocol, _ = url.partition("/apis/ccompat/")
    if not protocol:
        raise UsageError(
            "The embedded Avro converter needs the embedded registry (Apicurio).",
            why=f"SCHEMA_REGISTRY_URL is {url or 'not set'}; Apicurio's ends in /apis/ccompat/v7.",
            fix="lakehouse up --with cdc --with registry, or name your own Connect's converter with --set.",
        )
    found = {"schema.name.adjustment.mode": "avro"}
    for part in ("key", "value"):
        own = {
            "": "io.apicurio.registry.utils.converter.AvroConverter",
            # Of the two generations of its protocol the converter knows the older one.
            ".apicurio.registry.url": f"{root}/apis/registry/v2",
            ".apicurio.registry.auto-register": "true",
            ".apicurio.registry.find-latest": "false",
            # A zero byte, and the id by which Confluent's protocol knows the schema.
            ".apicurio.registry.as-confluent": "true",
            ".apicurio.registry.use-id": "contentId",
            ".apicurio.registry.headers.enabled": "false",
        }
        found |= {f"{part}.converter{name}": value for name, value in own.items()}
    return found


def _source(settings: Settings) -> dict[str, str]:
    if settings.source_url is None:
        return {}
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(settings.source_url.get_secret_value())
    known = {"database.hostname": "host", "database.port": "port", "database.dbname": "dbname"}
    return {key: str(parts[name]) for key, name in known.items() if parts.get(name)}
