"""Folders that are written as a whole."""

from __future__ import annotations

import pytest

from parlando.core.config import read_json
from parlando.core.errors import FileMissingError
from parlando.core.folder import whole_folder, write_json


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_half(folder, error):
    with whole_folder(folder, optional=("config.json",)) as partial:
        (partial / "config.json").write_text("half")
        raise error


def test_files_appear_together_at_the_end_and_may_be_read_by_others(tmp_path):
    folder = tmp_path / "model"
    with whole_folder(folder) as partial:
        write_json(partial / "config.json", {"name": "ä"})
        (partial / "lm.bin").touch(mode=0o600)
        assert names(folder) == [partial.name]
    assert names(folder) == ["config.json", "lm.bin"]
    assert (folder / "lm.bin").stat().st_mode & 0o777 == 0o644
    assert read_json(folder / "config.json") == {"name": "ä"}


def test_optional_files_of_an_earlier_model_go_and_others_stay(tmp_path):
    for name in ("card.md", "notes.txt", "config.json"):
        (tmp_path / name).write_text("old")
    with whole_folder(tmp_path, optional=("card.md", "tokenizer.json")) as partial:
        (partial / "config.json").write_text("new")
    assert names(tmp_path) == ["config.json", "notes.txt"]
    assert (tmp_path / "config.json").read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_crash_leaves_nothing_new_and_everything_old(tmp_path, error):
    old = tmp_path / "old"
    old.mkdir()
    (old / "config.json").write_text("old")
    for folder in (old, tmp_path / "new"):
        with pytest.raises(error):
            write_half(folder, error)
    assert names(tmp_path) == ["old"]
    assert (old / "config.json").read_text() == "old"


def test_the_place_for_it_must_be_there(tmp_path):
    with pytest.raises(FileMissingError, match="none"), whole_folder(tmp_path / "none" / "model"):
        pass
    assert names(tmp_path) == []
