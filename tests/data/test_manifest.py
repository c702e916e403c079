import json

import pytest

from parlando.core.errors import ConfigError, FileMissingError
from parlando.data.manifest import Utterance, append_manifest, read_manifest

CLIP = Utterance("a1", "audio/a1.flac", "ada", "en", "Naïve, isn't it?", 1.25, (("pau", 0.2), ("n", 0.35)))
BARE = Utterance("a2", "audio/a2.flac", "ada", "en", "Yes.", 0.5)


def test_a_manifest_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "m.jsonl"
    append_manifest(path, [CLIP])
    append_manifest(path, [BARE])
    assert list(read_manifest(path)) == [CLIP, BARE]
    assert path.read_text(encoding="utf-8").count("\n") == 2
    assert "Naïve" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "3",
        "[1, 2]",
        json.dumps({"id": "x"}),
        json.dumps({**CLIP.__dict__, "colour": "red"}),
        '{"phones": 3}',
    ],
)
def test_a_bad_line_is_named_by_its_number(tmp_path, line):
    path = tmp_path / "m.jsonl"
    append_manifest(path, [BARE])
    path.write_text(path.read_text() + line + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"m\.jsonl:2 is not an utterance"):
        list(read_manifest(path))


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(FileMissingError, match=r"no manifest at '.*none\.jsonl'"):
        list(read_manifest(tmp_path / "none.jsonl"))
