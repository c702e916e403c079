"""The container files, as far as they can be judged without an engine to run them."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

from parlando.cli.serve import ServeOptions
from parlando.core.config import from_mapping
from parlando.serve.config import ServeConfig

yaml = pytest.importorskip("yaml")
FOLDER = Path(__file__).resolve().parent.parent / "deploy"
COMPOSE = sorted(FOLDER.glob("compose.*.yaml"))


def instructions():
    """Every instruction of the Dockerfile, its continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", (FOLDER / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def arguments(kind):
    return [rest for name, rest in instructions() if name == kind]


def test_images_have_a_version_and_end_as_a_user():
    assert all(re.fullmatch(r"\S+:\d[\w.-]+( AS \w+)?", base) for base in arguments("FROM"))
    assert arguments("USER") == ["parlando"]
    order = [name for name, _ in instructions()]
    assert order.index("USER") > len(order) - order[::-1].index("RUN") - 1, "nothing is installed as the user"


def test_the_image_has_every_extra_that_an_option_of_the_server_needs():
    (extras,) = re.findall(r'"\.\[([\w,]+)\]"', "\n".join(arguments("RUN")))
    assert set(extras.split(",")) >= {"serve", "grpc", "telemetry", "languages"}


def test_packages_leave_nothing_behind():
    for command in arguments("RUN"):
        if "apt-get install" in command:
            assert "--no-install-recommends" in command
            assert "rm -rf /var/lib/apt/lists" in command
        assert "pip install" not in command or "--no-cache-dir" in command
        assert "sudo" not in command


def test_what_is_copied_exists_and_is_not_ignored():
    root = FOLDER.parent
    shown = {line[1:] for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if line[0] == "!"}
    copied = [rest for rest in arguments("COPY") if not rest.startswith("--from")]
    for path in [path for rest in copied for path in rest.split()[:-1]]:
        assert (root / path).exists()
        assert path.removeprefix("./") in shown


def test_it_is_started_with_options_that_exist_on_the_port_that_is_shown():
    (entry,) = arguments("ENTRYPOINT")
    words = [word.strip('",') for word in shlex.split(entry.strip("[]"))]
    assert words[:2] == ["parlando", "serve"]
    known = {f"--{name.replace('_', '-')}" for name in ServeOptions.__dataclass_fields__}
    assert {word for word in words if word.startswith("--")} <= known
    http, grpc = arguments("EXPOSE")[0].split()
    assert http == words[words.index("--port") + 1] == str(ServeConfig().port)
    for path in COMPOSE:
        command = yaml.safe_load(path.read_text(encoding="utf-8"))["services"]["parlando"]["command"]
        assert command[command.index("--grpc-port") + 1] == grpc, "their gRPC is open, as their own image has it"
    assert "/ready" in arguments("HEALTHCHECK")[0]


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_a_compose_file_fits_the_image(path):
    text = path.read_text(encoding="utf-8")
    composed = yaml.safe_load(text)
    assert "version" not in composed, "obsolete"
    (service,) = composed["services"].values()
    build = service["build"]
    assert (path.parent / build["context"] / build["dockerfile"]).is_file()
    assert set(build.get("args", ())) <= {rest.split("=")[0] for rest in arguments("ARG")}
    assert service["ports"] == ["127.0.0.1:50000:50000", "127.0.0.1:50001:50001"], "nobody else is let in unasked"
    assert {volume.split(":")[0] for volume in service["volumes"]} == set(composed["volumes"])
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    grace_seconds = int(service["stop_grace_period"].removesuffix("s"))
    assert grace_seconds > ServeConfig().drain_seconds
    options = [word for word in service.get("command", ()) if word.startswith("--")]
    assert {option[2:].replace("-", "_") for option in options} <= set(ServeOptions.__dataclass_fields__)
    assert "\t" not in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_one_for_each_kind_of_machine_and_the_gpu_is_asked_for():
    assert [path.name for path in COMPOSE] == ["compose.cpu.yaml", "compose.gpu.yaml"]
    (service,) = yaml.safe_load(COMPOSE[1].read_text())["services"].values()
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


def test_the_cluster_is_told_options_that_exist_and_nobody_else_is_let_in_unasked():
    text = (FOLDER / "ray.yaml").read_text(encoding="utf-8")
    deployed = yaml.safe_load(text)
    (application,) = deployed["applications"]
    module, _, name = application["import_path"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    options = from_mapping(ServeOptions, application["args"], "args")
    assert options.voice_folder == Path("/voices")
    assert deployed["http_options"] == {"host": "127.0.0.1", "port": ServeConfig().port}
    front = re.search(r"CALLBACK_IMPORT_PATH=([\w.]+):(\w+)", text)
    assert callable(getattr(importlib.import_module(front[1]), front[2]))
