"""A text that a regular expression matches, for the patterns that rules use: classes, groups, repetitions, choices.

Here: drawing one text. Not here: matching, and whatever looks around (those patterns give no text).
"""

import random
import re
import string

_MORE = 3
_NAMED = {"d": string.digits, "w": string.ascii_lowercase + string.digits + "_", "s": " "}
_ANY = string.ascii_lowercase + string.digits
_REPEATED = re.compile(r"\{(\d+)(,?)(\d*)\}")


def sample(pattern: str, source: random.Random) -> str | None:
    """A text that the pattern matches; None when the pattern is not understood.

    Args:
        pattern: A regular expression as Spark and Python both read it.
        source: What is drawn from.
    """
    try:
        text = _Sampler(pattern, source).choice()
        return text if re.search(pattern, text) else None
    except (IndexError, ValueError, re.error):
        return None


class _Sampler:
    """Reads the pattern from left to right and draws as it goes."""

    def __init__(self, pattern: str, source: random.Random) -> None:
        self._rest = list(pattern)
        self._source = source

    def choice(self) -> str:
        """One of the alternatives up to the end or a closing bracket."""
        texts = [self._sequence()]
        while self._next() == "|":
            self._rest.pop(0)
            texts.append(self._sequence())
        return self._source.choice(texts)

    def _next(self) -> str:
        return self._rest[0] if self._rest else ""

    def _sequence(self) -> str:
        drawn = ""
        while self._next() not in ("", "|", ")"):
            start = list(self._rest)
            self._atom()
            after, self._rest = self._rest, start
            drawn += self._many(start, after)
        return drawn

    def _many(self, start: list[str], after: list[str]) -> str:
        """Draw the atom at `start` as often as the quantifier behind it says."""
        text = "".join(after)
        low, high, width = 1, 1, 0
        if text[:1] in ("?", "*", "+"):
            low, high, width = {"?": (0, 1, 1), "*": (0, _MORE, 1), "+": (1, 1 + _MORE, 1)}[text[0]]
        elif match := _REPEATED.match(text):
            low = int(match[1])
            high = int(match[3]) if match[3] else low + _MORE if match[2] else low
            width = match.end()
        drawn = ""
        for _ in range(self._source.randint(low, high)):
            self._rest = list(start)
            drawn += self._atom()
        self._rest = after[width:]
        return drawn

    def _atom(self) -> str:
        character = self._rest.pop(0)
        if character in "^$":
            return ""
        if character == "(":
            if self._next() == "?":
                if "".join(self._rest[:2]) != "?:":
                    raise ValueError("looks around")
                del self._rest[:2]
            text = self.choice()
            self._rest.pop(0)
            return text
        if character == "[":
            return self._source.choice(self._class())
        if character == "\\":
            return self._source.choice(self._escaped())
        return self._source.choice(_ANY) if character == "." else character

    def _escaped(self) -> str:
        character = self._rest.pop(0)
        if character.isalnum() and character not in _NAMED:
            raise ValueError("not understood")
        return _NAMED.get(character, character)

    def _class(self) -> str:
        negated = self._next() == "^"
        if negated:
            self._rest.pop(0)
        members = ""
        while (character := self._rest.pop(0)) != "]":
            if character == "\\":
                members += self._escaped()
            elif self._next() == "-" and self._rest[1] != "]":
                self._rest.pop(0)
                members += "".join(map(chr, range(ord(character), ord(self._rest.pop(0)) + 1)))
            else:
                members += character
        return "".join(sorted(set(_ANY) - set(members))) if negated else members
