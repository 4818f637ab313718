"""A Kafka client's `.properties` file, as Java writes and reads it. Here: the file's form, and a JAAS line in it.

Not here: what librdkafka calls a property (`sources.config`).
"""

import re
from pathlib import Path

from lakehouse.errors import UsageError

_JAAS = "sasl.jaas.config"
_OPTION = re.compile(r'\b(username|password)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))')
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_HEX_DIGITS = 4


def read_properties(path: Path) -> dict[str, str]:
    """The properties of a file; the last one of a name wins. A JAAS line becomes `sasl.username` and `sasl.password`.

    Raises:
        UsageError: naming the line that is no property.
    """
    found: dict[str, str] = {}
    lines = path.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        first, line = number, lines[number].lstrip()
        while _goes_on(line) and number + 1 < len(lines) and line[:1] not in "#!":
            number += 1
            line = line[:-1] + lines[number].lstrip()
        number += 1
        if line and line[0] not in "#!":
            name, value = _split(line)
            if not name:
                raise UsageError(f"--config {path}:{first + 1}: no property name.", fix="Write name=value.")
            found[_plain(name, path, first)] = _plain(value, path, first)
    jaas = found.pop(_JAAS, None)
    if jaas is not None:
        found |= _credentials(jaas, path)
    return found


def _goes_on(line: str) -> bool:
    """A line ends in an odd number of backslashes: the next one belongs to it."""
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _split(line: str) -> tuple[str, str]:
    """Name and value, apart at the first `=`, `:` or white space that is not escaped."""
    end = 0
    while end < len(line) and line[end] not in "=: \t\f":
        end += 2 if line[end] == "\\" else 1
    rest = line[end:].lstrip(" \t\f")
    return line[:end], (rest[1:] if rest[:1] in ("=", ":") else rest).lstrip(" \t\f")


def _plain(text: str, path: Path, line: int) -> str:
    pieces, position = [], 0
    while position < len(text):
        letter = text[position]
        position += 1
        if letter == "\\" and position < len(text):
            letter = text[position]
            position += 1
            if letter == "u":
                code = text[position : position + _HEX_DIGITS]
                if len(code) < _HEX_DIGITS or not all(digit in "0123456789abcdefABCDEF" for digit in code):
                    raise UsageError(
                        f"--config {path}:{line + 1}: \\u needs four hexadecimal digits.",
                        fix="Write \\u00e4, or a second \\ for a plain one.",
                    )
                letter, position = chr(int(code, 16)), position + _HEX_DIGITS
            else:
                letter = _ESCAPES.get(letter, letter)
        pieces.append(letter)
    return "".join(pieces)


def _credentials(jaas: str, path: Path) -> dict[str, str]:
    """User and password of a login module's options; another module is no way in for librdkafka."""
    given = {name: re.sub(r"\\(.)", r"\1", quoted) or bare for name, quoted, bare in _OPTION.findall(jaas)}
    if set(given) != {"username", "password"}:
        raise UsageError(
            f"--config {path}: {_JAAS} names no username and password.",
            fix="Only PLAIN and SCRAM modules can be read; else set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD.",
        )
    return {f"sasl.{name}": value for name, value in given.items()}
