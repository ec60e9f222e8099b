"""Errors say what the caller must do next.

HeadrigError
    ConfigError                  the operator must change something; start-up only
    RejectedError                this data will never be accepted: 4xx, never resend
        DecodeError              it is not what its content type or dialect says
        TooLargeError            a limit of size, depth or count was passed
        AuthError                the credential is missing, unknown or lacks the scope
        ConflictError            the same key came before with another body
    RetryableError               the same data may be accepted later: 429 or 503
        OverloadedError          a bound of memory or disk is reached; nothing was stored
        SinkUnavailableError     the sink did not take the batch
    ProcessorError               a plugin raised, overran or broke its contract
    IntegrityError               stored state does not verify: stop, never repair by guess
        CorruptionError          a file is damaged at a known place
        ForkError                two states that cannot both be true
Drop                             control flow of processors, not an error
"""

from __future__ import annotations


class HeadrigError(Exception):
    """Root of the tree; messages quote ids, offsets, kinds and sizes, never record content."""


class ConfigError(HeadrigError):
    """The operator must change something.

    Args:
        message: What is wrong and what to write instead.
        path: Where in the configuration, e.g. ``sinks.loki.url``; empty when it has no place.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path


class RejectedError(HeadrigError):
    """This data will never be accepted; sending it again is useless.

    Args:
        message: The field or limit that failed.
        reason: A short machine-readable word, used as a metric label.
    """

    def __init__(self, message: str, *, reason: str = "rejected") -> None:
        super().__init__(message)
        self.reason = reason


class DecodeError(RejectedError):
    """The bytes are not what the content type or the dialect says."""


class TooLargeError(RejectedError):
    """A limit of size, depth or count was passed; the message names it."""


class AuthError(RejectedError):
    """The credential is missing, unknown or lacks the scope."""


class ConflictError(RejectedError):
    """The same idempotency key came before with another body."""


class RetryableError(HeadrigError):
    """The same data may be accepted later.

    Args:
        message: What is exhausted or away.
        retry_after: Seconds until a retry makes sense.
    """

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OverloadedError(RetryableError):
    """A bound of memory or disk is reached; nothing was stored."""


class SinkUnavailableError(RetryableError):
    """The sink did not take the batch; it is unknown whether it stored a part."""


class ProcessorError(HeadrigError):
    """A plugin raised, overran its deadline or broke its contract."""


class IntegrityError(HeadrigError):
    """Stored state does not verify, or the outcome of a durable write is unknown."""


class CorruptionError(IntegrityError):
    """A file is damaged.

    Args:
        file: Name of the file, relative to its directory.
        offset: Byte offset of the damaged part.
        message: What does not hold there.
    """

    def __init__(self, file: str, offset: int, message: str) -> None:
        super().__init__(f"{file} at byte {offset}: {message}")
        self.file = file
        self.offset = offset


class ForkError(IntegrityError):
    """Two states that cannot both be true, e.g. a head that is newer than the log."""


class Drop(BaseException):
    """Raised by a processor to drop the record on purpose; ``reason`` is a metric label."""

    def __init__(self, reason: str = "dropped") -> None:
        super().__init__(reason)
        self.reason = reason
