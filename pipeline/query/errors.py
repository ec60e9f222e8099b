"""Why a query has no answer."""

from __future__ import annotations


class QueryError(Exception):
    """A query cannot be answered.

    Args:
        status: HTTP status: 400 the query, 503 too much is not archived yet or files kept changing.
        message: Plain text for the client, which wrote the query; holds no record content.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def unsupported(what: str) -> QueryError:
    """Name what the embedded store does not do."""
    return QueryError(400, f"not supported by the embedded store: {what}")
