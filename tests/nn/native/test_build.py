"""The kernel compiles where there is a compiler, and nothing breaks where there is none."""

from __future__ import annotations

import ctypes
import platform
import shutil

import pytest

from parlando.nn.native.build import FLAGS, LEVELS, compile_kernel, library_name

HAS_COMPILER = shutil.which("cc") is not None and platform.machine() in ("x86_64", "AMD64")


@pytest.mark.skipif(not HAS_COMPILER, reason="no C compiler for this processor")
def test_every_level_is_compiled(tmp_path, monkeypatch):
    # Without optimisation, which takes long: with it, an installation has compiled what `test_kernel` runs.
    monkeypatch.setattr("parlando.nn.native.build.FLAGS", ("-O0", *FLAGS[1:]))
    made = compile_kernel(tmp_path)
    assert [path.name for path in made] == [library_name(level) for level in LEVELS]
    lanes = [ctypes.c_int64.in_dll(ctypes.CDLL(str(path)), "parlando_lanes").value for path in made]
    assert lanes == [16, 8]
    assert sorted(tmp_path.iterdir()) == sorted(made)


@pytest.mark.parametrize("compiler", ["false", "no-such-compiler-here"])
def test_a_compiler_that_fails_leaves_nothing(tmp_path, monkeypatch, compiler):
    monkeypatch.setenv("CC", compiler)
    assert compile_kernel(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_other_processors_are_left_to_torch(tmp_path, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert compile_kernel(tmp_path) == []
