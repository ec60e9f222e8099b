"""Reading the archive's Parquet files with DuckDB, in this process and within fixed memory.

duckdb is imported at the first query: a worker that nobody asks must not pay for it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrig import CorruptionError

from pipeline.archive_format import ArchiveFile, data_path
from pipeline.query.errors import QueryError
from pipeline.query.push import Where

if TYPE_CHECKING:
    import duckdb

_CHUNK = 2048
_KNOWN_FILES = 16_384
_KNOWN_PATTERNS = 256
_MAX_GROUPS = 2_000_000


class Files:
    """The Parquet files of one archive.

    Args:
        archive: Its directory; DuckDB may read nothing else.
        memory: Bytes that all queries of this process may use together.
    """

    def __init__(self, archive: Path, *, memory: int = 256 << 20) -> None:
        self._archive = archive
        self._memory = memory
        self._lock = threading.Lock()
        self._database: duckdb.DuckDBPyConnection | None = None
        self._labels: dict[str, tuple[str, ...]] = {}
        self._patterns: dict[str, bool] = {}

    def takes(self, pattern: str) -> bool:
        """Tell whether DuckDB understands a regular expression that ours does: its RE2 is an older one."""
        import duckdb

        known = self._patterns.get(pattern)
        if known is None:
            try:
                with self._cursor() as cursor:
                    cursor.execute("SELECT regexp_matches('', ?)", [pattern])
                known = True
            except duckdb.Error:
                known = False
            if len(self._patterns) >= _KNOWN_PATTERNS:
                self._patterns.clear()
            self._patterns[pattern] = known
        return known

    def label_sets(self, file: ArchiveFile) -> tuple[str, ...]:
        """Return the distinct label sets of a file, as JSON; files never change, so they are remembered."""
        known = self._labels.get(file.name)
        if known is None:
            rows = self._rows(file, "SELECT DISTINCT labels FROM read_parquet(?)", [])
            known = tuple(str(row[0]) for row in rows)
            if len(self._labels) >= _KNOWN_FILES:
                self._labels.clear()
            self._labels[file.name] = known
        return known

    def records(self, file: ArchiveFile, where: Where, *, backward: bool, limit: int | None) -> Iterator[Any]:
        """Find records of one file.

        Args:
            file: The file.
            where: What must hold.
            backward: With a limit, take the newest, newest first; else the oldest.
            limit: At most so many; None for all, in the order of the file.

        Yields:
            Time in unix ns, labels as JSON, metadata as JSON, line.
        """
        sql = f"SELECT ts, labels, metadata, line FROM read_parquet(?, file_row_number=true) WHERE {_and(where)}"  # noqa: S608
        if limit is not None:
            way = "DESC" if backward else "ASC"
            sql += f" ORDER BY ts {way}, file_row_number {way} LIMIT {limit:d}"
        return self._rows(file, sql, where.values)

    def counts(
        self,
        file: ArchiveFile,
        where: Where,
        names: Sequence[str] | None,
        bins: tuple[int, int, int, int],
    ) -> Iterator[Any]:
        """Count records by labels, metadata and bin.

        Args:
            file: The file.
            where: What must hold.
            names: Names whose values in the metadata make a group; None for the whole metadata.
            bins: First evaluation time, step and range in ns, and the number of steps.

        Yields:
            Labels as JSON; for each name its value, or the metadata as JSON; first and last step that the records
            count for; how many they are.
        """
        first, step, window, steps = bins
        groups = (
            ["metadata"] if names is None else [f"{_value(name)} AS g{k}" for k, name in enumerate(names)]
        )
        low = f"(greatest(ts - {first:d}, 0) + {step - 1:d}) // {step:d} AS low"
        high = f"least((ts - {first:d} + {window + step - 1:d}) // {step:d} - 1, {steps - 1:d}) AS high"
        inner = f"SELECT labels, {', '.join([*groups, low, high])} FROM read_parquet(?) WHERE {_and(where)}"  # noqa: S608 - only integers, checked names and placeholders
        sql = f"SELECT *, count(*) FROM ({inner}) WHERE low <= high GROUP BY ALL LIMIT {_MAX_GROUPS + 1:d}"  # noqa: S608
        for seen, row in enumerate(self._rows(file, sql, where.values)):
            if seen == _MAX_GROUPS:
                raise QueryError(
                    400, "the query makes too many series and steps; ask for fewer labels or a longer step"
                )
            yield row

    def close(self) -> None:
        """Let go of DuckDB."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _rows(self, file: ArchiveFile, sql: str, values: Sequence[object]) -> Iterator[Any]:
        """Run a query whose first parameter is the file; rows come as tuples, a chunk at a time."""
        import duckdb

        path = data_path(self._archive, file.name).absolute()
        try:
            with self._cursor() as cursor:
                cursor.execute(sql, [str(path), *values])
                while rows := cursor.fetchmany(_CHUNK):
                    yield from rows
        except duckdb.OutOfMemoryException:
            raise QueryError(400, f"the query needs more than {self._memory >> 20} MiB; narrow it") from None
        except duckdb.Error as error:
            if not path.exists():  # gone since the manifest was read: the caller reads the manifests again
                raise FileNotFoundError(file.name) from None
            damaged = isinstance(error, duckdb.IOException)
            if isinstance(error, duckdb.InvalidInputException):  # which a client's pattern may cause as well
                damaged = "regexp_matches(" not in sql
            if damaged:
                raise CorruptionError(file.name, 0, f"cannot be read ({type(error).__name__})") from error
            raise QueryError(
                400, f"the embedded store cannot run the query ({type(error).__name__})"
            ) from None

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            if self._database is None:
                self._database = self._connect()
            return self._database.cursor()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        database = duckdb.connect(
            ":memory:",
            config={
                "threads": 1,
                "memory_limit": f"{self._memory}B",
                "max_temp_directory_size": "0B",
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "enable_object_cache": False,
            },
        )
        database.execute("SET allowed_directories = [?]", [f"{self._archive.absolute()}/"])
        database.execute("SET enable_external_access = false")
        database.execute("SET lock_configuration = true")
        return database


def _and(where: Where) -> str:
    return " AND ".join(where.sql) or "true"


def _value(name: str) -> str:
    """Write SQL for the value of a name in the metadata.

    Metadata is compact JSON, so a quote behind ``{`` or ``,`` begins a key. The pattern is for keys that
    Loki renames, such as ``user.id``.
    """
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is None:
        raise ValueError(name)
    exact = f"json_extract_string(metadata, '$.\"{name}\"')"
    if "_" not in name:
        return exact
    loose = name.replace("_", '[^A-Za-z0-9"]')
    renamed = f'regexp_extract(metadata, \'[{{,]"{loose}":("(?:[^"\\\\]|\\\\.)*")\', 1)'
    return f"coalesce({exact}, json_extract_string('[' || {renamed} || ']', '$[0]'))"
