"""Places that cannot be used are named before anything starts, with the setting to change."""

from __future__ import annotations

from pathlib import Path

import pytest
from headrig import ConfigError

from pipeline.app.node import Node
from pipeline.app.paths import check_places
from pipeline.settings import Settings, load


def settings(data: Path, key: Path | None = None) -> Settings:
    """Settings with these places."""
    return load(None, {}, {"data": str(data), **({"audit.key": str(key)} if key else {})})


@pytest.mark.parametrize("below", ["", "/deep/er"])
def test_a_file_is_no_data_directory(tmp_path: Path, below: str) -> None:
    """Neither `check` nor the start take a file, or what lies below one, for the data directory."""
    (tmp_path / "afile").write_text("x")
    wrong = settings(Path(f"{tmp_path}/afile{below}"))
    for use in (check_places, Node.prepare):
        with pytest.raises(ConfigError, match="^data: .*afile") as refused:
            use(wrong)
        assert "where headrig may write" in str(refused.value)


def test_a_directory_is_no_key(tmp_path: Path) -> None:
    """The audit key is a file; one that is not there yet can be made where there is a directory for it."""
    with pytest.raises(ConfigError, match=r"^audit\.key: "):
        check_places(settings(tmp_path / "data", tmp_path))
    (tmp_path / "afile").write_text("x")
    with pytest.raises(ConfigError, match=r"^audit\.key: .*afile"):
        check_places(settings(tmp_path / "data", tmp_path / "afile" / "audit.skey"))
    check_places(settings(tmp_path / "data", tmp_path / "keys" / "audit.skey"))


def test_checking_changes_nothing(tmp_path: Path) -> None:
    """A directory that is not there yet is fine, and is not there afterwards."""
    check_places(settings(tmp_path / "a" / "b"))
    assert list(tmp_path.iterdir()) == []
