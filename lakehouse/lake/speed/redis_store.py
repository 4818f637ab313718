"""Real-time views in Redis: for readers on other machines, and for many of them.

Here: the store. Not here: the interface (`lake.speed.store`). A view is a sorted set of its times and a hash per time,
whose fields are the other keys. Position and rows change in one transaction (WATCH, MULTI, EXEC).
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lakehouse.engine.duck import duck_connection
from lakehouse.errors import SetupError, ViewStoreError
from lakehouse.lake.speed.store import View, ViewPosition

if TYPE_CHECKING:
    import pyarrow as pa

_PREFIX = "lakehouse:views"


class RedisStore:
    """Views in one Redis database.

    Args:
        client: A client of redis-py that decodes answers.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    def at(cls, url: str) -> "RedisStore":
        """The store at `redis://host:port/db`.

        Raises:
            SetupError: when the client is not installed.
        """
        try:
            import redis
        except ImportError as error:
            raise SetupError(
                "Real-time views in Redis need its Python client, which is not installed.",
                why="It is an extra: most lakes keep their views in DuckDB.",
                fix="uv pip install 'lakehouse[redis]', or set LAKEHOUSE_VIEW_STORE=duckdb.",
            ) from error
        return cls(redis.Redis.from_url(url, decode_responses=True, socket_timeout=30))

    def position(self, view: View) -> ViewPosition | None:
        """See `ViewStore`."""
        with _answers():
            return _parsed(self._client.get(_key(view, "position")))

    def put(
        self, view: View, rows: "pa.Table", *, before: ViewPosition | None, after: ViewPosition, replace: bool
    ) -> bool:
        """See `ViewStore`."""
        import redis

        position, times = _key(view, "position"), _key(view, "times")
        with _answers(), self._client.pipeline(transaction=True) as pipe:
            pipe.watch(position)
            if _parsed(pipe.get(position)) != before:
                return False
            known = pipe.zrange(times, 0, -1) if replace else []
            pipe.multi()
            if replace:
                pipe.delete(times, *(_key(view, moment) for moment in known))
            by_time: dict[str, dict[str, str]] = defaultdict(dict)
            for row in rows.to_pylist():
                moment = _iso(row[view.keys[0]])
                by_time[moment][json.dumps([row[name] for name in view.keys[1:]])] = json.dumps(row, default=_text)
            for moment, fields in by_time.items():
                pipe.zadd(times, {moment: datetime.fromisoformat(moment).timestamp()})
                pipe.hset(_key(view, moment), mapping=fields)
            pipe.set(position, json.dumps([after.table_id, after.step]))
            try:
                pipe.execute()
            except redis.WatchError:
                return False
            return True

    def read(self, view: View, since: datetime | None = None) -> "pa.Table":
        """See `ViewStore`."""
        with _answers():
            low = since.timestamp() if since else "-inf"
            moments = self._client.zrangebyscore(_key(view, "times"), low, "+inf")
            with self._client.pipeline(transaction=False) as pipe:
                for moment in moments:
                    pipe.hvals(_key(view, moment))
                found = [json.loads(value) for values in pipe.execute() for value in values]
        return _table(view, found)

    def prune(self, view: View, before: datetime) -> None:
        """See `ViewStore`."""
        times = _key(view, "times")
        with _answers():
            old = self._client.zrangebyscore(times, "-inf", f"({before.timestamp()}")
            if old:
                with self._client.pipeline(transaction=True) as pipe:
                    pipe.delete(*(_key(view, moment) for moment in old))
                    pipe.zrem(times, *old)
                    pipe.execute()


@contextmanager
def _answers() -> Iterator[None]:
    """Turn what Redis refuses into a typed error."""
    import redis

    try:
        yield
    except redis.RedisError as error:
        raise ViewStoreError(
            "Redis does not answer, or refuses.",
            why=str(error).splitlines()[0] if str(error) else type(error).__name__,
            fix="Start it, or correct LAKEHOUSE_VIEW_STORE; then run the same command again. Nothing is lost.",
        ) from error


def _key(view: View, part: str) -> str:
    return f"{_PREFIX}:{view.name}:{part}"


def _parsed(text: str | None) -> ViewPosition | None:
    return None if text is None else ViewPosition(*json.loads(text))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return _iso(value)
    if isinstance(value, date | Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in Redis")


def _table(view: View, rows: list[dict[str, Any]]) -> "pa.Table":
    """Rows of texts and numbers with the view's types, by DuckDB's casts, as the other store has them."""
    import pyarrow as pa

    texts = pa.table({name: pa.array([_cell(row[name]) for row in rows], pa.string()) for name in view.columns})
    casts = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in view.columns.items())
    with duck_connection() as duck:
        duck.register("_texts", texts)
        return duck.execute(f"select {casts} from _texts").to_arrow_table()  # noqa: S608 - our own names


def _cell(value: Any) -> str | None:
    return None if value is None else str(value)
