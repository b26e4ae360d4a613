"""A kept file stands whole or not at all, and only its owner may read it."""

import errno
import os
import stat
from pathlib import Path

import pytest

from clinic.pictures.files import NotStored, discard, keep, kept_under, read


@pytest.fixture(autouse=True)
def root(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    return settings.MEDIA_ROOT


def test_what_was_kept_is_read_back_and_discarded():
    keep("photos/ab/one.jpg", b"pixels")

    assert read("photos/ab/one.jpg") == b"pixels"
    assert [name for name, _ in kept_under("photos")] == ["photos/ab/one.jpg"]

    discard("photos/ab/one.jpg")

    assert list(kept_under("photos")) == []
    with pytest.raises(FileNotFoundError):
        read("photos/ab/one.jpg")


def test_nobody_else_on_the_machine_may_read_it(root):
    os.umask(0)
    try:
        keep("photos/ab/one.jpg", b"pixels")
    finally:
        os.umask(0o022)

    assert stat.S_IMODE((root / "photos/ab/one.jpg").stat().st_mode) == 0o600
    assert stat.S_IMODE((root / "photos/ab").stat().st_mode) == 0o700


@pytest.mark.parametrize("call", ["fsync", "open"])
def test_a_full_disk_leaves_nothing_behind(call, monkeypatch, root):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)

    with pytest.raises(NotStored) as refused:
        keep("photos/ab/one.jpg", b"pixels")

    monkeypatch.undo()
    assert "nothing was saved" in refused.value.for_people
    assert [path for path in Path(root).rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "name", ["../x.jpg", "photos/../../x", "/etc/passwd", "Photo.jpg", "a b", "", "a\x00b", "a/.b"]
)
def test_a_name_that_we_would_not_make_is_never_touched(name):
    for act in (read, discard, lambda each: keep(each, b"x")):
        with pytest.raises(ValueError, match="made by us"):
            act(name)
