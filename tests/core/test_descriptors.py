from __future__ import annotations

import os
from pathlib import Path

import pytest

from parlando.core.descriptors import descriptor_of

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="a system without /dev/fd")


@pytest.mark.parametrize(("path", "descriptor"), [("/dev/stdout", 1), ("/dev/stderr", 2), ("/dev/fd/7", 7)])
def test_open_files_are_known_directly_and_by_links(tmp_path, path, descriptor):
    (tmp_path / "a.wav").symlink_to(path)
    (tmp_path / "b.wav").symlink_to("a.wav")
    assert [descriptor_of(Path(name)) for name in (path, tmp_path / "a.wav", tmp_path / "b.wav")] == [descriptor] * 3


def test_other_paths_are_files(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "link").symlink_to("1")
    (tmp_path / "1").touch()
    for path in (tmp_path / "loop", tmp_path / "link", tmp_path / "1", Path("/dev/null"), Path("x" * 5000)):
        assert descriptor_of(path) is None
