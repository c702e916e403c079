"""Ray: without it, its actors are called by a stand-in that works as Ray Data does; where it is there, by itself."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import pytest

from fake_listeners import make_raw, models
from parlando.annotate.config import AnnotateConfig
from parlando.annotate.executors import on_ray
from parlando.annotate.executors.on_ray import Actors, Attempts, RayOptions, Stage, stages
from parlando.annotate.plan import steps_of
from parlando.annotate.rows import Row
from parlando.annotate.run import Where, annotate
from parlando.annotate.workspace import WORK, Workspace
from parlando.core.errors import MissingDependencyError

STEPS = steps_of(AnnotateConfig(sample_rate=16_000), models())


class Dataset:
    """Rows in memory; `flat_map` makes an actor from its class and arguments, and hands it rows in another order."""

    asked: ClassVar[list[dict]] = []

    def __init__(self, items):
        self.items = list(items)

    def flat_map(self, kind, *, fn_constructor_args, **resources):
        Dataset.asked.append(resources)
        actors = [kind(*fn_constructor_args) for _ in range(resources["concurrency"])]
        made = [actors[n % len(actors)](item) for n, item in enumerate(reversed(self.items))]
        return Dataset(each for rows in made for each in rows)

    def iter_rows(self):
        return iter(self.items)


@pytest.fixture
def fake_ray(monkeypatch):
    context = SimpleNamespace(execution_options=SimpleNamespace(resource_limits=None))
    ray, data = ModuleType("ray"), ModuleType("ray.data")
    ray.started = []
    ray.is_initialized = lambda: False
    ray.init = lambda **given: ray.started.append(given)
    data.DataContext = SimpleNamespace(get_current=lambda: context)
    data.ExecutionResources = lambda **given: given
    data.from_items = lambda items, override_num_blocks: Dataset(items)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.data", data)
    monkeypatch.setattr(Dataset, "asked", [])
    ray.context = context
    return ray


def contents(folder):
    paths = [path for path in folder.rglob("*") if path.is_file() and WORK not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_ray_makes_the_corpus_of_one_process_and_finds_its_work_again(fake_ray, tmp_path):
    make_raw(tmp_path / "raw")
    for name in ("one", "ray"):
        (tmp_path / name).mkdir()
    where = Where("ray", ray=RayOptions(None, Actors(2), Actors(3, 0.5, 0.25), 512))
    one = annotate(Workspace(tmp_path / "raw", tmp_path / "one" / "corpus"), STEPS, Where(workers=0))
    other = annotate(Workspace(tmp_path / "raw", tmp_path / "ray" / "corpus"), STEPS, where)
    assert contents(tmp_path / "one" / "corpus") == contents(tmp_path / "ray" / "corpus")
    assert one.tally == other.tally
    again = annotate(Workspace(tmp_path / "raw", tmp_path / "ray" / "corpus"), STEPS, where)
    assert (again.tally.done, again.tally.reused) == (0, one.tally.done)
    assert [(each["concurrency"], each["num_cpus"], each["num_gpus"]) for each in Dataset.asked[:2]] == [
        (2, 1.0, 0.0),
        (3, 0.5, 0.25),
    ]
    assert fake_ray.context.execution_options.resource_limits == {"object_store_memory": 512 << 20}
    assert fake_ray.started[0]["runtime_env"] == {"env_vars": {"OMP_NUM_THREADS": "1"}}


def test_the_steps_are_parted_where_recordings_become_segments():
    first, second = stages(STEPS)
    assert [step.name for step in first] == ["decode", "events", "speech", "speakers", "language", "cut"]
    assert [step.name for step in (*first, *second)] == [step.name for step in STEPS]


def test_a_row_that_killed_its_actor_twice_is_lost(tmp_path):
    work, folder = Workspace(tmp_path, tmp_path / "out"), tmp_path / "attempts"
    row = Row("a", "a.wav")
    stage = Stage(STEPS[:1], work, folder)
    key = on_ray.digest(row.to_json(), STEPS[0].signature)
    for count in (1, 2):
        assert Attempts(folder).begin(key) == count
    (item,) = stage({"row": row.to_json(), "done": 0, "reused": 0})
    assert Row.from_json(item["row"]).rejected.reason == "worker died"
    assert list(folder.iterdir()) == []


def test_without_ray_the_message_says_how_to_get_it(tmp_path, monkeypatch):
    make_raw(tmp_path / "raw")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'ray\[data\]'"):
        annotate(Workspace(tmp_path / "raw", tmp_path / "out"), STEPS, Where("ray"))
