"""What is known of the keys in a table's files, so that a step opens only files that may hold a row it has to compare.

Here: remembering hashes of identities, by file. Not here: computing them, comparing rows (`rivals`).

A file never changes and its name is never given twice, so what is known stays true. Rows that a vector hides are
remembered, too: an older version of the table, restored, shows them again.
"""

from collections.abc import Collection, Iterable
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

# Eight bytes each.
_MOST_ROWS = 4_000_000


class KnownKeys:
    """Hashes by file name, for so many rows in all; a file for which there is no room is opened each time."""

    def __init__(self, most_rows: int = _MOST_ROWS) -> None:
        self._most_rows = most_rows
        self._hashes: dict[str, pa.UInt64Array] = {}
        self._passed_over: set[str] = set()
        self._rows = 0

    def __contains__(self, name: str) -> bool:
        """Whether there is nothing to be gained from reading the file's keys once more."""
        return name in self._hashes or name in self._passed_over

    def remember(self, name: str, hashes: "pa.UInt64Array") -> None:
        """Keep the hashes of a file if there is room."""
        if name in self._hashes:
            return
        if self._rows + len(hashes) > self._most_rows:
            self._passed_over.add(name)
            return
        self._hashes[name] = hashes
        self._rows += len(hashes)

    def rename(self, name: str, to: str) -> None:
        """What is known of one file is true of another name from now on."""
        if name in self._hashes:
            self._hashes[to] = self._hashes.pop(name)

    def keep(self, names: Collection[str]) -> None:
        """Forget all other files once half of the room is taken: those of a day that is over, or compacted."""
        if self._rows * 2 < self._most_rows:
            return
        self._hashes = {name: hashes for name, hashes in self._hashes.items() if name in names}
        left = sum(map(len, self._hashes.values()))
        if left < self._rows:
            self._passed_over.clear()
        self._rows = left

    def without(self, names: Iterable[str], wanted: "pa.UInt64Array") -> set[str]:
        """Those of the files that are known to have none of the wanted hashes."""
        import pyarrow as pa
        import pyarrow.compute as pc

        known = [(name, self._hashes[name]) for name in names if name in self._hashes]
        if not known:
            return set()
        # One look-up table for all of them.
        found = pc.is_in(pa.chunked_array([hashes for _, hashes in known]), value_set=wanted)
        starts = accumulate((len(hashes) for _, hashes in known), initial=0)
        return {
            name
            for (name, hashes), start in zip(known, starts, strict=False)
            if not pc.any(found.slice(start, len(hashes))).as_py()
        }
