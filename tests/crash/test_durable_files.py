"""What each durable operation promises on its return, and that each of its syncs is needed for that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from power_cut import Disk

from pipeline import durable


def created(root: Path) -> None:
    """Create a file with a header."""
    durable.files.close(durable.create(root / "file", b"header", site="x"))


def appended(root: Path) -> None:
    """Append to a file whose name is durable."""
    fd = durable.create(root / "file", b"header", site="x")
    durable.append(fd, b" and more", site="x.append")
    durable.files.close(fd)


def replaced(root: Path) -> None:
    """Replace a file."""
    durable.replace(root / "file", b"old", site="before")
    durable.replace(root / "file", b"new", site="x")


def overwritten(root: Path) -> None:
    """Overwrite a slot."""
    durable.replace(root / "file", b"old", site="before")
    durable.overwrite(root / "file", b"L", 1, site="x.slot")


def removed(root: Path) -> None:
    """Remove a file."""
    durable.replace(root / "file", b"old", site="before")
    durable.remove(root / "file", site="x")


def nested(root: Path) -> None:
    """Make directories; a part is there already, and not durable."""
    (root / "a").mkdir()
    durable.make_dir(root / "a", site="x")
    durable.make_dir(root / "a" / "b" / "c", site="x")


CASES = [
    (created, "x.create"),
    (created, "x.create-dir"),
    (appended, "x.append"),
    (replaced, "x.replace"),
    (replaced, "x.replace-dir"),
    (overwritten, "x.slot"),
    (removed, "x.remove-dir"),
    (nested, "x.mkdir"),
]


def tree(root: Path) -> dict[str, bytes | None]:
    """Return the content of each file below a directory; None for a directory."""
    return {
        str(path.relative_to(root)): None if path.is_dir() else path.read_bytes() for path in root.rglob("*")
    }


def survives(base: Path, work: Callable[[Path], None], broken: tuple[str, ...]) -> bool:
    """Say whether a power cut right after the return leaves everything as it was."""
    live = base / "live"
    live.mkdir(parents=True)
    disk = Disk(live, broken=broken)
    with durable.using(disk):
        work(live)
    for _, image in disk.images([disk.now]):
        image.strict(base / "left")
    return tree(base / "left") == tree(live)


@pytest.mark.parametrize(("work", "site"), CASES, ids=[site for _, site in CASES])
def test_each_operation_is_durable_on_return_and_needs_its_syncs(
    tmp_path: Path, work: Callable[[Path], None], site: str
) -> None:
    """With all syncs a power cut changes nothing; without one it does."""
    assert survives(tmp_path / "whole", work, ())
    assert not survives(tmp_path / "broken", work, (site,))
