"""Frames that somebody takes away behind the program's back are missed by the books."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash_oracle import BUFFERED, IMBALANCE, samples
from running import Headrig, free_port, wait_until

RECORDS = 2000
BODY = 100


@pytest.fixture
def headrig(tmp_path: Path) -> Iterator[Headrig]:
    """A headrig with one worker and 2,000 records in several segments, for a Loki that is away."""
    loki = {"loki": {"url": f"http://127.0.0.1:{free_port()}"}}
    headrig = Headrig(
        tmp_path, {"sinks": loki, "buffer": {"segment": "16KiB"}, "drain": "100ms"}, workers=1
    ).start()
    noise = random.Random(1)  # does not compress
    try:
        for start in range(0, RECORDS, BODY):
            lines = [
                json.dumps({"service": "shop", "message": f"order {n} {noise.randbytes(60).hex()}"})
                for n in range(start, start + BODY)
            ]
            assert headrig.post("\n".join(lines).encode()).json()["accepted"] == BODY
        balanced(headrig)
        yield headrig
    finally:
        headrig.kill()


def balanced(headrig: Headrig) -> None:
    """Wait until all is counted, and see that nothing is missing."""
    wait_until(lambda: sum(samples(headrig, BUFFERED).values()) == RECORDS, 20, "the count")
    assert set(samples(headrig, IMBALANCE).values()) == {0.0}


def missed(headrig: Headrig, before: float = 0.0) -> float:
    """Wait until the books miss more records than before, see that the count agrees, and return it."""
    wait_until(lambda: max(samples(headrig, IMBALANCE).values(), default=0.0) > before, 20, "an imbalance")
    (imbalance,) = samples(headrig, IMBALANCE).values()
    (buffered,) = samples(headrig, BUFFERED).values()
    assert before < imbalance < RECORDS
    assert imbalance + buffered == RECORDS
    return imbalance


def segments(headrig: Headrig) -> list[Path]:
    """Return the segments of the one worker."""
    found = sorted((headrig.data / "buffer" / "w0").glob("*.seg"))
    assert len(found) > 3
    return found


def test_frames_taken_from_a_running_headrig_are_missed(headrig: Headrig) -> None:
    """What is buffered is counted from the frames on disk: one that is cut short, or gone, shows as imbalance."""
    first, second, *_, last = segments(headrig)
    with second.open("r+b") as file:
        file.truncate(second.stat().st_size - 1)
    some = missed(headrig)
    first.unlink()
    more = missed(headrig, some)
    last.unlink()
    missed(headrig, more)


def test_a_segment_removed_from_a_stopped_headrig_is_missed(headrig: Headrig) -> None:
    """The newest frame knows how many records there ever were, and the cursor how many went."""
    assert headrig.stop() == 0
    segments(headrig)[0].unlink()
    headrig.start()
    missed(headrig)


def test_a_gap_between_segments_stops_the_worker(headrig: Headrig) -> None:
    """A segment missing between two is damage that no crash makes: nothing is guessed, nothing accepted."""
    assert headrig.stop() == 0
    segments(headrig)[1].unlink()
    headrig.start(wait=False)
    wait_until(lambda: headrig.log().count('"exit_code": 70') > 0, 20, "the worker's end")
    assert not headrig.ready()
    assert len(segments(headrig)) > 3


def test_frames_cut_off_a_stopped_headrig_stop_the_worker(headrig: Headrig) -> None:
    """After an orderly stop the end of the log is known outside of it: nothing is taken for a torn write."""
    assert headrig.stop() == 0
    last = segments(headrig)[-1]
    with last.open("r+b") as file:
        file.truncate(24)
    headrig.start(wait=False)
    wait_until(lambda: headrig.log().count('"exit_code": 70') > 0, 20, "the worker's end")
    assert not headrig.ready()
