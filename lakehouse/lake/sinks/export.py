"""All of silver as it is now, into a warehouse. Here: reading silver. Not here: loading (`warehouse`)."""

from lakehouse.contracts.model import StreamContract
from lakehouse.errors import UsageError
from lakehouse.lake.ledger import current_version
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.sinks.warehouse import BulkIngester, Mode, WarehouseSink
from lakehouse.settings import Settings

_ROWS_PER_CHUNK = 50_000


def export(contract: StreamContract, settings: Settings, sink: WarehouseSink, table: str, mode: Mode) -> int:
    """Load one version of silver; the number of rows.

    Raises:
        UsageError: the stream has no silver yet.
        WarehouseLoadError: the warehouse took other rows than silver has.
    """
    from lakehouse.engine.duck import delta_connection

    paths = LakePaths.of(settings)
    path = paths.silver(contract.name)
    version = current_version(path)
    if version is None:
        raise UsageError(f"Stream {contract.name} has no silver yet.", fix=f"lakehouse drain {contract.name}")
    alive = "where not _deleted" if contract.is_cdc else ""
    with delta_connection() as duck:
        source = f"delta_scan('{path.replace(chr(39), chr(39) * 2)}', version => {version})"
        reader = duck.execute(f"select * from {source} {alive}").fetch_record_batch(_ROWS_PER_CHUNK)  # noqa: S608 - our path
        return BulkIngester(sink, paths).ingest(reader, reader.schema, table, mode)
