"""From `defs/streams/<name>/defs.yaml` to a checked `StreamContract`, with file, line, field and what is allowed.

Here: finding, reading and explaining the files. Not here: what a contract may say (`contracts.model`).
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from lakehouse.contracts.model import StreamContract
from lakehouse.errors import ContractError, UsageError, nearest

STREAMS_FOLDER = Path(__file__).resolve().parents[1] / "defs" / "streams"
COMPONENT_TYPE = "lakehouse.components.StreamComponent"
Model = TypeVar("Model", bound=BaseModel)


def load_streams(folder: Path = STREAMS_FOLDER) -> dict[str, StreamContract]:
    """All streams by name, in alphabetical order.

    Raises:
        ContractError: for the first file that is wrong, or when two files use one name or one topic.
    """
    streams: dict[str, StreamContract] = {}
    topics: dict[str, str] = {}
    for path in sorted(folder.glob("*/defs.yaml")):
        contract = load_contract(path)
        if contract.name in streams:
            raise ContractError(
                f"{path}: stream name {contract.name!r} is used twice.", fix="Give one of them another name."
            )
        if contract.topic.name in topics:
            other = topics[contract.topic.name]
            raise ContractError(f"{path}: topic {contract.topic.name!r} already belongs to stream {other!r}.")
        streams[contract.name] = contract
        topics[contract.topic.name] = contract.name
    return streams


def load_stream(name: str, folder: Path = STREAMS_FOLDER) -> StreamContract:
    """The stream of that name.

    Raises:
        UsageError: when there is none; names the nearest.
        ContractError: when a file is wrong.
    """
    streams = load_streams(folder)
    if name in streams:
        return streams[name]
    hint = nearest(name, streams, f"Known streams: {', '.join(streams) or 'none'}.")
    raise UsageError(f"There is no stream {name!r}.", fix=hint)


def collect_problems(
    files: Iterable[Path], load_file: Callable[[Path], object], load_all: Callable[[], object] | None = None
) -> list[ContractError]:
    """What is wrong with these files, one error each; none when all is well.

    Args:
        files: The files.
        load_file: Loads one.
        load_all: Loads all together, once each is well: names that two files share show only then.
    """
    problems = []
    for path in files:
        try:
            load_file(path)
        except ContractError as error:
            problems.append(error)
    if load_all is not None and not problems:
        try:
            load_all()
        except ContractError as error:
            problems.append(error)
    return problems


def load_contract(path: Path) -> StreamContract:
    """Read and check one file.

    Raises:
        ContractError: naming file, line (where it can be known), field and what is allowed.
    """
    return parse_contract(read_text(path), path)


def read_text(path: Path) -> str:
    """The text of a contract's file.

    Raises:
        ContractError: it cannot be read, or is no UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ContractError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ContractError(f"{path}:{line}: no UTF-8; save the file in that encoding.") from error


def parse_contract(text: str, path: Path) -> StreamContract:
    """Check the text of one file; `path` is only for messages. Raises as `load_contract`."""
    return parse_attributes(text, path, COMPONENT_TYPE, StreamContract)


def parse_attributes(text: str, path: Path, component: str, model: type[Model]) -> Model:
    """The `attributes:` of a `defs.yaml` of this component type, checked by its model.

    Raises:
        ContractError: naming file, line (where it can be known), field and what is allowed.
    """
    try:
        node, document = read_yaml(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", error)
        if mark and text.split("\n")[mark.line][mark.column : mark.column + 1] == "\t":
            # Of a tab the reader says that it "cannot start any token", and editors show it as spaces.
            problem = "YAML takes no tabs; indent with spaces"
        raise ContractError(f"{where}: no valid YAML: {problem}.") from error
    if not isinstance(document, dict) or not isinstance(document.get("attributes"), dict):
        subject = component.rpartition(".")[2].removesuffix("Component").lower()
        raise ContractError(f"{path}:1: a {subject} file has `type: {component}` and `attributes:`.")
    if document.get("type") != component:
        raise ContractError(f"{path}:{_line(node, ('type',))}: type is {document.get('type')!r}; allowed: {component}.")
    try:
        return model.model_validate(document["attributes"])
    except ValidationError as error:
        raise ContractError(explain(error, node, path, model)) from error


def read_yaml(text: str) -> tuple[yaml.Node | None, Any]:
    """The nodes, which know their lines, and what they say. In C: every run reads all files when it starts.

    Raises:
        yaml.YAMLError: it is no YAML, or has a key twice.
    """
    loader = yaml.CSafeLoader(text)
    try:
        node = loader.get_single_node()
        _require_unique(node)
        return node, None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _require_unique(node: yaml.Node | None) -> None:
    """Of a key that is there twice YAML's reader takes the last without a word: rules would vanish."""
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if key.value in lines:
                twice = f"{key.value} is there twice, first in line {lines[key.value]}"
                raise yaml.MarkedYAMLError(problem=twice, problem_mark=key.start_mark)
            if isinstance(key, yaml.ScalarNode):
                lines[key.value] = key.start_mark.line + 1
    if isinstance(node, yaml.CollectionNode):
        for part in node.value:
            for child in part if isinstance(part, tuple) else (part,):
                _require_unique(child)


def explain(error: ValidationError, node: yaml.Node | None, path: Path, model: type[BaseModel]) -> str:
    """Every mismatch on one line each: `file:line: field: what is wrong and what is allowed`."""
    lines = []
    for detail in error.errors():
        location = tuple(part for part in detail["loc"] if not (isinstance(part, str) and part.startswith("function-")))
        for message in _message(detail, location, model).split("\n"):
            place = (*location, *_place(message))
            name = ".".join(str(part) for part in location)
            lines.append(f"{path}:{_line(node, ('attributes', *place))}: {f'{name}: ' if name else ''}{message}")
    return "\n".join(lines)


def _message(detail: Any, location: tuple[Any, ...], model: type[BaseModel]) -> str:
    kind, given = detail["type"], detail["input"]
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        return f"is no known field; allowed: {', '.join(_allowed_keys(location[:-1], model))}"
    text = str(detail["msg"]).removeprefix("Value error, ")
    if kind == "literal_error":
        return f"{given!r} is not allowed; allowed: {detail['ctx']['expected']}"
    if kind == "value_error":
        return text
    return f"{given!r} is not allowed: {text}"


def _allowed_keys(location: tuple[Any, ...], top: type[BaseModel]) -> list[str]:
    model: Any = top
    for part in location:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        inner = [item for item in getattr(annotation, "__args__", ()) if hasattr(item, "model_fields")]
        model = inner[0] if inner else annotation
        if not hasattr(model, "model_fields"):
            return []
    return list(model.model_fields)


def _place(message: str) -> tuple[Any, ...]:
    """The place that a message about the whole contract starts with: `rules.3.sql: …`."""
    return tuple(int(part) if part.isdigit() else part for part in message.split(":", 1)[0].split("."))


def _line(node: yaml.Node | None, location: tuple[Any, ...]) -> int:
    """Line (from 1) of the deepest part of `location` that exists."""
    line = 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == part:
                    node, line = value, key.start_mark.line + 1
                    break
            else:
                break
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
