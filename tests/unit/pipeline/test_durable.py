"""The real file operations ask the kernel; everywhere else a recording disk stands in for them."""

import os
from pathlib import Path

import pytest

from pipeline.durable import Files


@pytest.fixture
def asked(monkeypatch):
    """Every sync that reaches the kernel, with the file behind its descriptor."""
    calls = []

    def recording(name, real):
        def call(fd):
            calls.append((name, os.readlink(f"/proc/self/fd/{fd}")))
            real(fd)

        return call

    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, recording(name, getattr(os, name)))
    return calls


def test_a_file_is_synced_by_its_descriptor(tmp_path, asked):
    """`sync` syncs the data of the file it is given, once, and of no other."""
    files = Files()
    fds = [files.create(tmp_path / name) for name in ("one", "two")]
    files.sync(fds[1], "site")
    for fd in fds:
        files.close(fd)

    assert asked == [("fdatasync", str(tmp_path / "two"))]


def test_a_directory_is_synced_with_its_entries(tmp_path, asked):
    """`sync_dir` syncs the directory itself, and leaves no descriptor open."""
    before = os.listdir("/proc/self/fd")
    Files().sync_dir(tmp_path, "site")

    assert asked == [("fsync", str(tmp_path))]
    assert os.listdir("/proc/self/fd") == before


def test_the_kernel_is_asked():
    """What cannot be synced is refused by the kernel: the call is made, and its error comes through."""
    read, write = os.pipe()
    try:
        with pytest.raises(OSError, match="Invalid argument"):
            Files().sync(write, "site")
    finally:
        os.close(read)
        os.close(write)
    with pytest.raises(OSError, match="Invalid argument"):
        Files().sync_dir(Path("/proc"), "site")
