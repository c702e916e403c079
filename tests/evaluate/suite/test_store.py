from __future__ import annotations

from fake_judges import tone
from parlando.audio.clip import Clip
from parlando.evaluate.suite.store import Store, clip_digest, digest_of, file_digest


def test_what_was_put_is_there_in_the_next_run(tmp_path):
    store = Store(tmp_path / "deep" / "s.jsonl")
    store.put("a", {"words": "你好"})
    store.put("b", None)
    again = Store(tmp_path / "deep" / "s.jsonl")
    assert again["a"] == {"words": "你好"}
    assert "b" in again
    assert again["b"] is None
    assert "c" not in again


def test_a_line_that_was_cut_short_costs_only_itself(tmp_path):
    path = tmp_path / "s.jsonl"
    store = Store(path)
    store.put("a", 1)
    path.write_bytes(path.read_bytes() + b'{"key": "b", "val')
    again = Store(path)
    assert "b" not in again
    again.put("c", 3)
    assert [key for key in "abc" if key in Store(path)] == ["a", "c"]


def test_digests_tell_contents_apart(tmp_path):
    assert digest_of("a", {"x": 1, "y": 2}) == digest_of("a", {"y": 2, "x": 1}) != digest_of("a", {"x": 1})
    (tmp_path / "f").write_bytes(b"1")
    first = file_digest(tmp_path / "f")
    (tmp_path / "f").write_bytes(b"2")
    assert file_digest(tmp_path / "f") != first


def test_a_clip_is_told_by_its_samples_and_its_rate():
    assert clip_digest(tone(200)) == clip_digest(tone(200))
    assert clip_digest(tone(200)) != clip_digest(tone(201))
    assert clip_digest(tone(200)) != clip_digest(Clip(tone(200).samples, 16000))
