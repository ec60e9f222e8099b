"""``headrig demo`` is one thing to whoever started it: it ends as a whole, and says so with one exit code."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from running import ROOT, wait_until


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def runs(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


class Demo:
    """A running demo, ready: ``front`` is what was started, ``supervisor`` what it forked."""

    def __init__(self, directory: Path, *options: str, **how: Any) -> None:
        arguments = ["demo", "--listen", "127.0.0.1:0", "--data", str(directory / "data"), *options]
        self.directory = directory
        with (directory / "stderr").open("wb") as stderr:
            self.front = subprocess.Popen(
                [sys.executable, "-m", "pipeline", *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                **{"stdout": subprocess.PIPE, "stderr": stderr, **how},
            )
        wait_until(lambda: (directory / "data/run/audit.sock").exists(), 60, "the start")
        [self.supervisor] = children(self.front.pid)
        self.all = [self.supervisor, *children(self.supervisor)]

    def await_end(self) -> None:
        """Wait until no process of it runs."""
        wait_until(lambda: not any(map(runs, self.all)), 30, "the end of all processes")

    def end(self) -> None:
        """Leave nothing behind."""
        if self.front.poll() is None:
            self.front.kill()
        if runs(self.supervisor):
            os.kill(self.supervisor, signal.SIGKILL)
        self.front.wait(10)
        if self.front.stdout:
            self.front.stdout.close()


@pytest.fixture
def demos(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    """Start demos; what still runs at the end is killed."""
    made: list[Demo] = []

    def make(*options: str, **how: Any) -> Demo:
        made.append(Demo(tmp_path, *options, **how))
        return made[-1]

    yield make
    for each in made:
        each.end()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_the_front(demos: Callable[..., Demo], number: signal.Signals) -> None:
    """However the front is ended, the supervisor and its children stop; when it can, it exits 0."""
    demo = demos()
    demo.front.send_signal(number)
    demo.await_end()

    assert demo.front.wait(30) == (-signal.SIGKILL if number == signal.SIGKILL else 0)


def test_a_closed_terminal_ends_the_demo(demos: Callable[..., Demo]) -> None:
    """The kernel hangs up whatever ran in the terminal, and nothing of it stays."""
    ours, theirs = os.openpty()
    demo = demos(
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    os.close(ours)
    demo.await_end()
    demo.front.wait(30)


def test_a_demo_that_is_stopped_early_does_not_wait_for_its_time(demos: Callable[..., Demo]) -> None:
    """SIGTERM before ``--seconds`` are over: it ends now, with 0 and without a traceback."""
    demo = demos("--seconds", "600")
    assert demo.front.stdout is not None
    while b"headrig verify log" not in demo.front.stdout.readline():
        pass  # the introduction says that the timer is about to run
    demo.front.terminate()

    assert demo.front.wait(30) == 0
    assert "Traceback" not in (demo.directory / "stderr").read_text()


def test_a_killed_supervisor_is_a_crash(demos: Callable[..., Demo]) -> None:
    """The exit code is 70, as the command line promises, not that of a signal."""
    demo = demos()
    os.kill(demo.supervisor, signal.SIGKILL)

    assert demo.front.wait(30) == 70
