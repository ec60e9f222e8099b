"""Each sync is needed: when it does nothing, some loss of power breaks a promise, and a test sees it."""

from __future__ import annotations

import ast
import random
from collections.abc import Callable
from functools import partial

import pytest
from cut_bench import Bench, before_syncs
from plant import World
from power_cut import Disk, Image
from running import ROOT

CUT = [
    "audit.append",
    "audit.checkpoint.replace",
    "audit.checkpoint.replace-dir",
    "audit.head.replace",
    "audit.key.replace",
    "audit.log-json.replace",
    "audit.segment.create-dir",
    "audit.vkey.replace",
    "buffer.append",
    "buffer.create-dir",
    "buffer.cursor-slot",
    "buffer.cursor.replace",
    "buffer.cursor.replace-dir",
    "buffer.keys.replace",
    "buffer.keys.replace-dir",
    "buffer.mkdir",
    "node-key.replace",
    "quarantine.append",
    "quarantine.create-dir",
]
"""Sites whose sync is missed after a cut of the first life."""

NAMED = {
    "audit.head.replace-dir": Bench.first,
    "buffer.extent.replace": Bench.pinned,
    "buffer.extent.replace-dir": Bench.pinned,
    "buffer.reclaim.remove-dir": Bench.late,
}
"""Sites whose sync is missed when some of the names that were not synced survive, and the life that shows it."""

KILLED = {
    "audit.open.above": "data.mkdir",
    "audit.open.directory": "audit.checkpoint.replace-dir",
    "audit.open.segment": "audit.append",
    "audit.open.wal": "audit.segment.create-dir",
    "buffer.reopen": "buffer.append",
    "buffer.reopen-dir": "buffer.create-dir",
    "buffer.reopen-cursors": "buffer.cursor.replace-dir",
    "buffer.reopen-cursor": "buffer.cursor-slot",
}
"""Sites whose sync makes up for one that a killed process did not come to, and for which."""

TOGETHER = [
    {"data.mkdir", "audit.key.above", "audit.open.parent", "quarantine.mkdir"},
    {"node-key.replace-dir", "audit.key.replace-dir", "audit.vkey.replace-dir"},
]
"""Syncs of one and the same directory at every start: one of them is needed."""

COVERED = {
    "audit.log-json.replace-dir": "audit.head.replace-dir",
    "audit.segment.create": "audit.append",
    "buffer.create": "buffer.append",
    "quarantine.create": "quarantine.append",
}
"""Sites followed by a sync of the same file or directory before anything is acknowledged. So no cut misses
them; what they promise on their own return is in test_durable_files."""

REMADE = {"audit.tile.put"}
"""Sites whose files are made again from others when a cut takes them; half a file is in test_audit_tiles."""

NOT_MET = {
    "buffer.truncate": "buffer.reopen comes next, on the same file",
    "buffer.unborn.remove-dir": "buffer.reopen-dir or buffer.create-dir comes next, on the same directory",
    "buffer.keys.remove-dir": "a file of expired ids that comes back is removed again",
    "quarantine.remove-dir": "what comes back of a bounded quarantine is removed again",
    "audit.blob": "test_audit_durability",
    "audit.cursor": "test_audit_durability",
    "audit.quarantine": "test_audit_durability",
    "audit.torn": "test_audit_durability",
    "archive": "test_archive_syncs",
}
"""Sites, or first words of sites, that the lives above do not come to, and why that is enough."""

SUFFIXES = {
    "create": (".create", ".create-dir"),
    "replace": (".replace", ".replace-dir"),
    "remove": (".remove-dir",),
    "make_dir": (".mkdir",),
    "put": (".put",),
    "append": ("",),
    "overwrite": ("",),
}


def sites_in_code() -> set[str]:
    """Read from the source which sites there are."""
    found = set()
    for path in (ROOT / "pipeline").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            name, given = call.func.attr, [word.value for word in call.keywords if word.arg == "site"]
            if name in ("sync", "sync_dir") and len(call.args) == 2:
                found.add((call.args[1], ""))
            found |= {(site, suffix) for site in given for suffix in SUFFIXES[name]}
    return {site.value + suffix for site, suffix in found if isinstance(site, ast.Constant)}


@pytest.mark.slow
@pytest.mark.parametrize("site", CUT)
def test_each_sync_is_needed(bench: Bench, site: str) -> None:
    """When the syncs of this site do nothing, a power cut breaks a promise, and the oracle says so."""
    disk, world = bench.record(bench.first, {site})
    some, every = range(disk.now, -1, -20), range(disk.now + 1)
    assert any(
        bench.cut(image, world.at(time)) for times in (some, every) for time, image in disk.images(times)
    )


@pytest.mark.slow
@pytest.mark.parametrize(("site", "story"), NAMED.items(), ids=NAMED)
def test_each_sync_is_needed_when_some_names_survive(bench: Bench, site: str, story: Callable) -> None:
    """Names must become durable in the order in which they were changed; every other order is tried."""
    disk, world = bench.record(partial(story, bench), {site})
    images = disk.images(range(disk.now + 1))
    assert any(wrong for time, image in images for wrong in bench.cut_names(image, world, time))


@pytest.mark.slow
@pytest.mark.parametrize("sites", TOGETHER, ids=min)
def test_one_sync_of_a_directory_is_needed(bench: Bench, sites: set[str]) -> None:
    """With all of them gone, names are lost."""
    disk, world = bench.record(bench.first, sites)
    images = disk.images(range(disk.now + 1))
    assert any(bench.cut(image, world.at(time)) for time, image in images)


@pytest.mark.slow
@pytest.mark.parametrize(("site", "missed"), KILLED.items(), ids=KILLED)
def test_each_sync_of_a_restart_is_needed(
    bench: Bench, life: tuple[Disk, World], site: str, missed: str
) -> None:
    """A process is killed just before a sync; its successor relies on what it finds, and the power goes."""
    disk, world = life
    chance = random.Random(1)

    def wrong(time: int, image: Image) -> bool:
        for story in (bench.second, bench.first):
            again, after = bench.record(story, {site}, image, world.at(time))
            cuts = [again.now, *(chance.randint(0, again.now) for _ in range(3))]
            if any(bench.cut(left, after.at(cut)) for cut, left in again.images(cuts)):
                return True
        return False

    assert any(wrong(time, image) for time, image in disk.images(before_syncs(disk, missed)))


@pytest.mark.slow
def test_no_site_is_forgotten(bench: Bench, life: tuple[Disk, World]) -> None:
    """Every site of three lives is in one of the lists above."""
    disk, world = life
    sites = disk.sites | bench.record(bench.pinned)[0].sites
    for time, image in disk.images(before_syncs(disk)):
        sites |= bench.record(bench.second, base=image, past=world.at(time))[0].sites
    tried = {*CUT, *NAMED, *KILLED, *COVERED, *REMADE}.union(*TOGETHER)
    assert sites == tried
    assert {site for site in sites_in_code() - tried if not site.startswith(tuple(NOT_MET))} == set()
