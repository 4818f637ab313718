"""How a record is named on the command line: PARTITION:OFFSET, or TOPICID/PARTITION/OFFSET when topic ids differ.

Here: text to identity. Not here: whether such a record exists (`lake.rejects.browse`).
"""

import re
from dataclasses import dataclass

from lakehouse.errors import UsageError

_SHORT = re.compile(r"^(\d+):(\d+)$")
_FULL = re.compile(r"^([A-Za-z0-9_-]+)/(\d+)/(\d+)$")


@dataclass(frozen=True)
class RecordName:
    """A record as somebody named it; without a topic id it may mean one record of every generation of the topic."""

    topic_id: str | None
    partition: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> "RecordName":
        """Read a name.

        Raises:
            UsageError: when the text has another form.
        """
        if short := _SHORT.match(text):
            return cls(None, int(short[1]), int(short[2]))
        if full := _FULL.match(text):
            return cls(full[1], int(full[2]), int(full[3]))
        raise UsageError(
            f"{text!r} names no record.",
            fix="Write PARTITION:OFFSET, for example 0:17, or TOPICID/PARTITION/OFFSET as `list --json` shows it.",
        )

    def means(self, topic_id: str, partition: int, offset: int) -> bool:
        """Whether that record may be meant."""
        return (self.partition, self.offset) == (partition, offset) and self.topic_id in (None, topic_id)
