"""Work that is done ahead in another thread and leaves something to clear away: a context entered there, left here.

Here: waiting for it, leaving it, forgetting it. Not here: what is done (`lake.in_flight`, `lake.steps`).
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """A context that a thread is entering. Whoever has it waits for it and closes it, or forgets it.

    Args:
        thread: Enters it.
        context: What it enters.
    """

    def __init__(self, thread: ThreadPoolExecutor, context: AbstractContextManager[T]) -> None:
        def enter() -> tuple[ExitStack, T]:
            with ExitStack() as stack:
                value = stack.enter_context(context)
                return stack.pop_all(), value

        self._entered = thread.submit(enter)

    def result(self) -> tuple[ExitStack, T]:
        """What leaves the context, and what it gave. Raises what entering it raised."""
        return self._entered.result()

    def forget(self) -> None:
        """Leave it as soon as it is entered; what went wrong is of no use to anybody any more."""
        with suppress(Exception):
            self.result()[0].close()
