"""What no linter knows: quiet imports, a clean dependency list, nothing of one machine in the files."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys

import pytest

from parlando.core.install import DISTRIBUTION
from parlando.models.registry import FAMILIES

HOSTS = re.compile(
    r"\b(?:pypi|pythonhosted|npmjs|anaconda|deb\.debian|archive\.ubuntu)\.(?:org|com)\b|registry\.npm", re.I
)
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|home/\w+|Users/\w+|opt/wheels)/")
TEXT_SUFFIXES = {".py", ".md", ".toml", ".txt", ".json", ".cfg", ".yml", ".yaml", ".sh", ""}

QUIET_IMPORT = """
import logging, os, pkgutil, random, sys

read = []
class Watched(type(os.environ)):
    def __getitem__(self, key):
        caller = sys._getframe(1)
        while caller.f_globals.get("__name__") in ("os", "_collections_abc", __name__):
            caller = caller.f_back
        if caller.f_globals.get("__name__", "").startswith("parlando"):
            read.append((caller.f_globals["__name__"], key))
        return super().__getitem__(key)
os.environ.__class__ = Watched

import numpy, torch
torch.manual_seed(5); numpy.random.seed(5); random.seed(5)
states = lambda: (torch.get_rng_state().tolist(), numpy.random.get_state()[1].tolist(), random.getstate())
handlers = lambda: (logging.root.level, list(logging.root.handlers), torch.get_num_threads(), torch.get_default_dtype())
before = states(), handlers()
import parlando
for module in pkgutil.walk_packages(parlando.__path__, "parlando."):
    if not module.name.endswith("__main__"):
        __import__(module.name)
assert states() == before[0], "an import moved a random generator"
assert handlers() == before[1], "an import configured logging or torch"
assert not read, f"an import read the environment: {read}"
print("quiet")
"""


def run_python(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.slow
def test_importing_every_module_has_no_side_effects():
    result = run_python(QUIET_IMPORT)
    assert result.stdout.strip() == "quiet", result.stderr


@pytest.mark.parametrize("module", ["parlando", "parlando.core.types", "parlando.core.stages", "parlando.cli.app"])
def test_light_modules_import_without_torch(module):
    result = run_python(f"import sys, {module}; assert 'torch' not in sys.modules; print('light')")
    assert result.stdout.strip() == "light", result.stderr


def tracked(root):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False)
    names = listed.stdout.split("\0") if listed.returncode == 0 else []
    return [root / n for n in names if n] or [p for p in root.rglob("*") if ".venv" not in p.parts and p.is_file()]


def test_no_file_names_a_package_host_or_a_path_of_one_machine(root):
    found = []
    for path in tracked(root):
        if path.suffix in TEXT_SUFFIXES and path.is_file() and path.name != "test_house.py":
            text = path.read_text(encoding="utf-8", errors="replace")
            found += [
                f"{path.relative_to(root)}: {m.group()}" for p in (HOSTS, MACHINE_PATHS) for m in p.finditer(text)
            ]
    assert found == []


def test_a_host_and_a_machine_path_are_seen():
    assert HOSTS.search("from https://files.pythonhosted" + ".org/x")
    assert MACHINE_PATHS.search("open('/wo" + "rk/data.txt')")
    assert not MACHINE_PATHS.search("see docs/work/plan")


def requirements(name, extras=("",)):
    """Names that a distribution needs, itself or for these extras."""
    from packaging.requirements import Requirement

    try:
        lines = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return set()
    parsed = [Requirement(line) for line in lines]
    kept = [r for r in parsed if r.marker is None or any(r.marker.evaluate({"extra": e}) for e in extras)]
    return {r.name.lower().replace("_", "-") for r in kept}


def closure(first):
    seen, todo = set(), set(first)
    while todo:
        name = todo.pop()
        seen.add(name)
        todo |= requirements(name) - seen
    return seen


def test_no_dependency_needs_torchaudio():
    extras = importlib.metadata.metadata(DISTRIBUTION).get_all("Provides-Extra")
    needed = closure(requirements(DISTRIBUTION, ("", *extras)))
    assert {"torch", "numpy", "matplotlib"} <= needed
    assert "torchaudio" not in needed


def top_level_imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def test_every_package_that_is_imported_is_declared(sources):
    ours = {name for s in sources for name in top_level_imports(s.tree)} - sys.stdlib_module_names - {"parlando"}
    extras = importlib.metadata.metadata(DISTRIBUTION).get_all("Provides-Extra")
    declared = requirements(DISTRIBUTION, ("", *extras))
    homes = importlib.metadata.packages_distributions()
    assert {n for n in ours if not {d.lower().replace("_", "-") for d in homes.get(n, [n])} & declared} == set()


def test_core_install_is_small():
    assert len(requirements(DISTRIBUTION)) <= 12


def test_modules_say_what_they_are_in_1_to_5_lines(sources):
    docs = {s.module: (ast.get_docstring(s.tree) or "").strip() for s in sources if s.path.name != "__init__.py"}
    long_or_missing = {m: d.count("\n") + 1 for m, d in docs.items() if not d or d.count("\n") + 1 > 5}
    long_or_missing.pop("parlando.core.errors", None)  # its docstring is the drawing of the tree
    assert long_or_missing == {}


def test_families_are_not_asked_for_by_name(sources):
    pattern = re.compile(r"if [^\n]*\bfamily\s*==|__class__\.__name__\s*==|isinstance\([^,]+, (?:HiggsLM|HiggsModel)\)")
    found = [f"{s.module}: {m.group()}" for s in sources for m in pattern.finditer(s.text)]
    assert [f for f in found if not f.startswith("parlando.models.registry")] == []


FAMILY_FREE = ("parlando.core", "parlando.engine", "parlando.request", "parlando.speech", "parlando.result")


def test_what_serves_every_family_knows_no_word_of_one(sources):
    words = re.compile("|".join(FAMILIES), re.I)
    common = [s for s in sources if s.module.startswith(FAMILY_FREE)]
    assert len(common) > 15
    assert [f"{s.module}: {m.group()}" for s in common for m in words.finditer(s.text)] == []


def test_only_the_registries_list_the_families(sources):
    def names(tree):
        return {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and n.value in tuple(FAMILIES)}

    assert [s.module for s in sources if len(names(s.tree)) > 1] == [
        "parlando.models.registry",
        "parlando.train.registry",
    ]


def test_every_family_has_the_same_files_and_keeps_what_is_its_own_in_parts(root):
    folders = [root / "src" / "parlando" / "models" / family for family in FAMILIES]
    names = [sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") for folder in folders]
    assert all(each == names[0] for each in names)
    assert {"build.py", "config.py", "decoder.py", "lm.py", "parts", "prompt.py", "sampler.py"} <= set(names[0])
    parts = [{path.stem for path in (folder / "parts").glob("*.py")} - {"__init__"} for folder in folders]
    assert set.intersection(*parts) == set(), "what two families have in common is no part of one"
    tests = "".join(path.read_text(encoding="utf-8") for path in (root / "tests").rglob("*.py"))
    for folder, own in zip(folders, parts, strict=True):
        mirrored = {path.stem for path in (root / "tests" / "models" / folder.name / "parts").glob("test_*.py")}
        assert mirrored <= {f"test_{name}" for name in own}
        assert {name for name in own if f"parlando.models.{folder.name}.parts.{name} import" not in tests} == set()
