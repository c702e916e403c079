"""The recipe of the curve, on a tiny encoded corpus with commands that only say what they were asked."""

import importlib.util
import json
import sys

import pytest

from parlando.train.higgs.assemble import ModelRecipe
from parlando.train.higgs.lm_recipe import LMRecipe
from parlando.train.loop.recipe import read_recipe

HOUR = 25 * 3600


@pytest.fixture(scope="module")
def curve(root):
    spec = importlib.util.spec_from_file_location("curve", root / "recipes" / "hours_curve" / "curve.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["curve"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["curve"]


@pytest.fixture
def codes(tmp_path):
    """Ten sentences of an hour each by two speakers, one kept for validation."""
    folder = tmp_path / "codes"
    folder.mkdir()
    rows = []
    for sentence in range(10):
        for speaker in ("ada", "ben"):
            split = "validation" if sentence == 9 else "train"
            row = {"id": f"{speaker}_{sentence}", "speaker": speaker, "text": f"Say {sentence}.", "split": split}
            rows.append(row | {"speed": 1.0, "language": "en", "start": len(rows) * 7, "frames": HOUR // 2})
    (folder / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "codes.json").write_text('{"num_codebooks": 2, "codebook_size": 8}')
    (folder / "codes.i16").write_bytes(b"codes")
    return folder


def ids(folder, split="train"):
    rows = [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]
    return {row["id"] for row in rows if row["split"] == split}


def test_a_part_has_its_hours_and_contains_the_smaller_parts(curve, codes, tmp_path):
    parts = {}
    for hours in (1, 2, 5):
        target = tmp_path / f"part{hours}"
        assert curve.part_of(codes, target, hours, seed=1) == 2 * hours
        parts[hours] = ids(target)
        assert ids(target, "validation") == {"ada_9", "ben_9"}
        assert (target / "codes.i16").read_bytes() == b"codes"
    assert parts[1] < parts[2] < parts[5]
    curve.part_of(codes, tmp_path / "other", 2, seed=2)
    assert ids(tmp_path / "other") != parts[2]
    with pytest.raises(SystemExit, match=r"has 9\.00 h to train on, 10 h are wanted"):
        curve.part_of(codes, tmp_path / "ten", 10, seed=1)


def test_every_point_is_made_once_and_the_curve_is_drawn(curve, codes, tmp_path):
    commands, heard = [], []

    def hear(model, sentences, voice, recogniser):
        heard.append((model.parent.name, voice, recogniser))
        return ["The sun is warm.", "It cost $5."], ["the son is warm", "It cost five dollars."]

    out = tmp_path / "hours"
    given = ["--codes", codes, "--codec", "codec", "--voice", "ada", "-o", out, "--hours", 1, 2, "--seeds", 2]
    arguments = [str(each) for each in given]
    curve.main([*arguments[:-1], "1"], commands.append, hear)
    assert [name for name, *_ in heard] == ["1h_0", "2h_0"]
    curve.main(arguments, commands.append, hear)
    assert heard[2:] == [("1h_1", "ada", "whisper"), ("2h_1", "ada", "whisper")]
    assert [command[:2] for command in commands[:2]] == [["train", "lm"], ["train", "assemble"]]
    points = curve.read_points(out / "points.jsonl")
    assert [(p.hours, p.seed, p.sentences, p.words, p.wer) for p in points[:2]] == [
        (1.0, 0, 2, 8, 0.125),
        (2.0, 0, 4, 8, 0.125),
    ]
    assert "| 2 | **12.5 %** | 12.5 %, 12.5 % | 4 |" in (out / "table.md").read_text()
    assert (out / "curve.png").stat().st_size > 5_000


def test_its_recipes_are_recipes(curve, codes, tmp_path, root):
    (tmp_path / "model.toml").write_text(curve.MODEL.format(name="5h_0", voice="af_heart"))
    assert read_recipe(ModelRecipe, tmp_path / "model.toml").default_voice == "af_heart"
    lm = (root / "recipes" / "hours_curve" / "lm.toml").read_text() + curve.descriptions(codes)
    (tmp_path / "lm.toml").write_text(lm)
    recipe = read_recipe(LMRecipe, tmp_path / "lm.toml")
    assert recipe.budget.steps == 1500
    assert recipe.mix.descriptions == {"ada": "ada", "ben": "ben"}
