"""Commands keep compiled patterns in the user's cache, and do without where there is none."""

from running import cli


def mask(cache):
    done = cli("mask", stdin=b"to bob@example.org\n", env={"XDG_CACHE_HOME": str(cache)})
    assert done.stdout == b"to [redacted:email]\n", done.stderr


def test_patterns_are_compiled_once_for_a_user(tmp_path):
    """A second command writes nothing anew; what is damaged or open to others is not trusted and replaced."""
    mask(tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "headrig").iterdir()}
    assert kept
    mask(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "headrig").iterdir()} == kept
    for path in kept:
        path.write_bytes(b"rubbish")
    mask(tmp_path)
    assert all(path.stat().st_size > 1000 for path in kept)


def test_no_place_for_a_cache_is_no_error(tmp_path):
    """A file stands where the folder would be."""
    (tmp_path / "headrig").write_text("")
    mask(tmp_path)
