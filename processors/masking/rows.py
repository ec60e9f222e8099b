"""Masks rows: all of them at once, and one by one when that fails, so that one bad line costs its neighbours nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headrig import ProcessorError

from processors.masking.decode import WorkError
from processors.masking.engine import DepthError, Engine
from processors.masking.splice import Masked
from processors.masking.timed import TimedOutError

if TYPE_CHECKING:
    from processors.masking.actions import Decision
    from processors.masking.spread import Spans

UNSCANNED = "unscanned"
TOO_DEEP = "depth"
TOO_COSTLY = "work"
TOO_SLOW = "timeout"
FAILED = "error"
_ROUNDS = 8
"""A line is scanned once more so often; each time only where a replacement stands beside a letter or digit."""


class Rows:
    """Fails closed: a row comes back masked, or with the reason why not.

    Args:
        engine: Scans and splices.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def one(self, line: bytes, decision: Decision) -> Masked:
        masked, failed = self.many([line], line, None, decision)
        if failed:
            raise ProcessorError(f"{UNSCANNED}: {failed[0]}")
        return masked

    def many(
        self, lines: Sequence[bytes], buffer: bytes, heads: Sequence[Any] | None, decision: Decision
    ) -> tuple[Masked, dict[int, str]]:
        """Mask lines; what cannot be masked comes back as row to reason."""
        try:
            return self._run(lines, buffer, heads, decision), {}
        except Exception:
            return self._one_by_one(lines, heads, decision)

    def _run(
        self,
        lines: Sequence[bytes],
        buffer: bytes,
        heads: Sequence[Any] | None,
        decision: Decision,
        keys: Spans | None = None,
    ) -> Masked:
        masked = self.engine.run(lines, buffer, heads, decision, keys)
        if masked.again:
            redact = decision.without_removal()
            for _ in range(_ROUNDS):
                masked.again = self._once_more(masked, lines, redact)
        return masked

    def _once_more(self, masked: Masked, lines: Sequence[bytes], decision: Decision) -> set[int]:
        """Scan masked lines again where a replacement may have made a finding of its neighbour; return those to be scanned on."""
        again = set()
        for row in sorted(masked.again):
            text = masked.lines.get(row, lines[row])
            more = self.engine.run([text], text, None, decision)
            if more.lines:
                masked.lines[row] = more.lines[0]
                masked.found[row] = [*masked.found.get(row, ()), *more.found[0]]
            if more.dropped:
                masked.dropped.setdefault(row, more.dropped[0])
            if more.again:
                again.add(row)
        return again

    def _one_by_one(
        self, lines: Sequence[bytes], heads: Sequence[Any] | None, decision: Decision
    ) -> tuple[Masked, dict[int, str]]:
        masked = Masked()
        failed: dict[int, str] = {}
        keys = self.engine.spread_keys(lines, b"\n".join(lines))
        for row, line in enumerate(lines):
            own = {0: keys[row]} if row in keys else {}
            try:
                head = heads[row : row + 1] if heads is not None else None
                one = self._run([line], line, head, decision, own)
            except DepthError:
                failed[row] = TOO_DEEP
            except WorkError:
                failed[row] = TOO_COSTLY
            except TimedOutError:
                failed[row] = TOO_SLOW
            except Exception:
                failed[row] = FAILED
            else:
                masked.take(row, one)
        return masked, failed
