"""Keys and cursors on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from headrig import ConfigError

from pipeline.audit.keys import load_signer, open_signer
from pipeline.audit.note import Verifier

if TYPE_CHECKING:
    from pathlib import Path

ORIGIN = "audit.example.com/keys"


def test_the_first_start_makes_a_key_and_the_next_uses_it(tmp_path: Path) -> None:
    """The secret is readable by its owner alone; the public half lies beside it."""
    path = tmp_path / "keys" / "audit.skey"
    signer = open_signer(path, ORIGIN, tmp_path / "log")
    assert path.stat().st_mode & 0o777 == 0o600
    public = path.with_suffix(".vkey").read_text("ascii")
    assert Verifier.parse(public).id == signer.id
    assert open_signer(path, ORIGIN, tmp_path / "log").vkey == signer.vkey == load_signer(path).vkey


def test_a_log_that_was_signed_never_gets_another_key(tmp_path: Path) -> None:
    """A lost key must be noticed."""
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "head").write_bytes(b"signed")
    with pytest.raises(ConfigError, match="restore it"):
        open_signer(tmp_path / "audit.skey", ORIGIN, tmp_path / "log")
    assert not (tmp_path / "audit.skey").exists()


def test_a_key_that_others_may_read_is_refused_with_the_fix(tmp_path: Path) -> None:
    """The error says what to run."""
    path = tmp_path / "audit.skey"
    open_signer(path, ORIGIN, tmp_path / "log")
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=f"chmod 600 {path}"):
        load_signer(path)


def test_a_key_of_another_log_or_no_key_at_all_is_refused(tmp_path: Path) -> None:
    """And the error never holds the secret."""
    path = tmp_path / "audit.skey"
    signer = open_signer(path, ORIGIN, tmp_path / "log")
    with pytest.raises(ConfigError, match="not audit.example.com/other"):
        open_signer(path, "audit.example.com/other", tmp_path / "log")
    secret = signer.skey.split("+", 4)[4]
    for content in (signer.vkey.encode(), signer.skey.replace("+", "-").encode(), b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="not a signer key") as caught:
            load_signer(path)
        assert secret not in str(caught.value)
