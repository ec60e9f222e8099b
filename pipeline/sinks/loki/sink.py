"""Delivers frames to Loki: each entry is taken, or durable in quarantine, before `write` returns."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.sinks.delivery import Delivery, HeldError, UndeliveredError
from pipeline.sinks.loki.bisect import blames_entry, narrow
from pipeline.sinks.loki.client import Answer, Client
from pipeline.sinks.loki.plan import Plan, Planner
from pipeline.sinks.quarantine import Quarantine, Refused

if TYPE_CHECKING:
    from pipeline.sinks.delivery import StoredFrame
    from pipeline.sinks.loki.bisect import Bad
    from pipeline.sinks.loki.push import Push
    from pipeline.sinks.loki.settings import LokiSettings

_log = logging.getLogger("headrig.loki")

TAKEN = 204
REFUSED = frozenset({400, 413, 422})
BUSY = frozenset({408, 425, 429})
_SERVER = 500
_SMALL = 1 << 14
"""A push this small is not cut when Loki says 429. What of a large one Loki stored already counts again towards its
rates when it is sent again, so that the rest of it might never get through."""


class LokiSink:
    """The sink to one Loki, for one pump: an unfinished write is known by its tenant and positions.

    Args:
        settings: How to reach it.
        quarantine: Where entries go that Loki will never take.
        clock: Unix time in ns.
    """

    name = "loki"

    def __init__(
        self, settings: LokiSettings, quarantine: Quarantine, *, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._client = Client(settings)
        self._planner = Planner(settings, clock)
        self._quarantine = quarantine
        self._clock = clock
        self._plans: dict[str, Plan] = {}

    async def write(self, frames: Sequence[StoredFrame]) -> Delivery:
        """Deliver frames of one tenant; see `pipeline.sinks.delivery.Sink`.

        After an error the rest of the plan is kept: the next call with the same frames sends identical
        bytes and nothing that Loki confirmed already.
        """
        if not frames:
            return Delivery(0)
        tenant = frames[0].tenant
        plan = self._plans.get(tenant)
        if plan is None or plan.key != (frames[0].position, frames[-1].end):
            plan = self._plans[tenant] = await asyncio.to_thread(self._planner.plan, frames)
        taken = plan.taken
        try:
            while plan.todo:
                await self._step(tenant, plan)
        except UndeliveredError as error:
            error.progress = plan.taken > taken
            raise
        del self._plans[tenant]
        return Delivery(plan.delivered, plan.refused)

    async def check(self) -> None:
        """Raise when Loki does not say that it is ready."""
        answer = await self._client.ready()
        if answer.status != 200:
            raise UndeliveredError(f"Loki is not ready: {answer.status}", status=str(answer.status))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _step(self, tenant: str, plan: Plan) -> None:
        if self._planner.aged(plan.todo[-1]):
            await asyncio.to_thread(self._planner.renew, plan)
        push = plan.todo[-1]
        try:
            answer = await self._client.push(tenant, push.body())
        except UndeliveredError as error:
            plan.todo[-1] = replace(push, maybe=push.maybe or error.sent)
            raise
        plan.todo[-1] = push = replace(push, maybe=True)
        status = answer.status
        if status == TAKEN:
            plan.todo.pop()
            plan.taken += 1
            self._planner.took(tenant, push)
        elif status in REFUSED or (status == _SERVER and blames_entry(answer.text)):
            await self._narrow(tenant, plan, answer)
        else:
            if status in BUSY and push.inflated > _SMALL:
                # Larger than Loki's burst, it would be "too much at once" for ever.
                plan.todo[-1:] = reversed(await asyncio.to_thread(push.halves))
            raise _failure(answer)

    async def _narrow(self, tenant: str, plan: Plan, answer: Answer) -> None:
        push = plan.todo[-1]
        sure = push.doubted is not None and plan.taken > push.doubted
        narrowed = await asyncio.to_thread(narrow, push, answer, sure=sure)
        if narrowed.unknown:
            _put_off(plan, narrowed.again[0], answer)
            return
        if narrowed.bad:
            items = [item for bad in narrowed.bad for item in self._items(tenant, bad)]
            await asyncio.to_thread(self._quarantine.append, items)
            counts: Counter[str] = Counter()
            for bad in narrowed.bad:
                counts[bad.reason] += len(bad.values)
            for reason, number in counts.items():
                plan.refused[reason] = plan.refused.get(reason, 0) + number
            _log.warning("entries refused by Loki: status %d, %s", answer.status, dict(counts))
        # Only now may the plan forget them: a crash before this line sends and quarantines them again.
        plan.todo[-1:] = reversed(narrowed.again)

    def _items(self, tenant: str, bad: Bad) -> list[Refused]:
        now = self._clock()
        return [
            Refused(
                tenant=tenant,
                time_ns=now,
                reason=bad.reason,
                detail=bad.detail,
                sink=self.name,
                labels=bad.labels,
                ts=value[0],
                line=value[1],
                metadata=value[2] if len(value) > 2 else {},
            )
            for value in bad.values
        ]


def _put_off(plan: Plan, push: Push, answer: Answer) -> None:
    """Send an entry that was refused for an unknown reason after all others; raise when that makes no sense."""
    hopeless = plan.doubted == plan.taken or len(plan.todo) == 1
    plan.todo[:] = [replace(push, doubted=plan.taken), *plan.todo[:-1]]
    plan.doubted = plan.taken
    if hopeless:
        raise HeldError(
            f"Loki answered {answer.status} to a single entry, and its text does not say that the entry is at fault: "
            "look at its address, at what stands between, and at its own log",
            status=str(answer.status),
        )


def _failure(answer: Answer) -> UndeliveredError:
    """Say what an answer means that neither takes nor refuses; 260 is Loki's "blocked by the operator"."""
    status = answer.status
    if status in BUSY or status >= _SERVER:
        return UndeliveredError(f"Loki answered {status}", status=str(status), retry_after=answer.retry_after)
    return HeldError(
        f"Loki answered {status}: look at its address, credentials, tenant and blocks",
        status=str(status),
        retry_after=answer.retry_after,
    )
