"""Build hook: compile the decoding kernel where there is a C compiler; a package without it runs in PyTorch alone."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

RECIPE = Path("src/parlando/nn/native/build.py")


class KernelHook(BuildHookInterface):
    """Compiles into the source tree; a wheel takes the libraries along and is then for this platform only."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel is put together, an editable one as well."""
        del version
        if self.target_name != "wheel":
            return
        spec = importlib.util.spec_from_file_location("kernel_build", Path(self.root) / RECIPE)
        assert spec is not None
        assert spec.loader is not None
        recipe = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(recipe)
        libraries = recipe.compile_kernel()
        if libraries:
            build_data["artifacts"] += [f"/{path.relative_to(self.root)}" for path in libraries]
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
