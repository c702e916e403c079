"""The server as a deployment of Ray Serve: what a replica is, who gets a request, how many there are to be.

Ray is imported where it is used, for it is an extra.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parlando.core.errors import GenerationError
from parlando.serve.app import build_app
from parlando.serve.config import ServeConfig
from parlando.serve.replicas.front import Signed
from parlando.serve.replicas.load import Scale, load_of, preferred, read_load, wanted_servers
from parlando.serve.server import configure_logging, settle_interpreter
from parlando.speech import Synthesizer

if TYPE_CHECKING:
    from ray.serve import Application
    from ray.serve.config import AutoscalingContext
    from ray.serve.request_router import PendingRequest, RunningReplica

APPLICATION = "parlando"
OTHERS = "RAY_ADDRESS"  # a cluster that runs already, as Ray's own commands have it
FRONT = "parlando.serve.replicas.front:middlewares"
ROUTER = "VoiceRouter"
LOAD_SECONDS = 0.5  # between what replicas tell of their load
DRAIN_CHECK_SECONDS = 0.2
HEALTH_SECONDS, UNHEALTHY_SECONDS = 2.0, 30.0
SCALE_UP_SECONDS, SCALE_DOWN_SECONDS, LOOK_BACK_SECONDS = 2.0, 120.0, 5.0
HEADROOM = 2  # connections, and requests that are not for speech, for each stream: the server itself refuses streams
Load = Callable[[], Mapping[str, Synthesizer]]


class Replica:
    """A whole server in a process of its own; its HTTP comes from Ray's proxy."""

    def __init__(self, load: Load, config: ServeConfig) -> None:
        configure_logging()
        self._app = build_app(load(), config)
        self._service = self._app.state.service
        for host in self._service.hosts.values():
            host.warm_up()
        if not self._service.ready:
            raise GenerationError("a model could not speak; the log says why")
        settle_interpreter()

    def __serve_build_asgi_app__(self) -> Any:
        """What Ray sends requests to."""
        from ray import serve

        return Signed(self._app, serve.get_replica_context().replica_id.unique_id)

    def record_routing_stats(self) -> dict[str, float]:
        """For whoever chooses a replica."""
        return load_of(self._service).figures()

    def record_autoscaling_stats(self) -> dict[str, float]:
        """For whoever says how many there are to be."""
        return load_of(self._service).figures()


@cache
def voice_router() -> type:
    """The class that sends a voice to the replica that has read it, and on where that has too much to do."""
    from ray.serve.experimental.consistent_hash_router import ConsistentHashRouter

    class VoiceRouter(ConsistentHashRouter):
        """Orders replicas by the key of a request and by what they have to do."""

        async def choose_replicas(
            self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
        ) -> list[list[RunningReplica]]:
            """The replicas by rank, one each."""
            if not candidate_replicas:
                return []
            if pending_request is None:
                return [candidate_replicas]
            pending_request.routing_context.should_backoff = True
            by_name = {replica.replica_id.unique_id: replica for replica in candidate_replicas}
            levels = {name: self._level(replica) for name, replica in by_name.items()}
            metadata = pending_request.metadata
            key = metadata.session_id or metadata.internal_request_id
            return [[by_name[name]] for name in preferred(key, levels)]

        def _level(self, replica: RunningReplica) -> int:
            sent = self.replica_queue_len_cache.get(replica.replica_id) or 0
            return read_load(replica.routing_stats).level(sent)

    return VoiceRouter


def __getattr__(name: str) -> Any:
    """The router by the name that Ray looks up in every process."""
    if name == ROUTER:
        return voice_router()
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def wanted_replicas(context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
    """Ray's question of how many replicas there are to be, answered from what they told of themselves."""
    told: dict[Any, dict[str, float]] = {}
    for name, by_replica in (context.aggregated_metrics or {}).items():
        for replica, value in by_replica.items():
            told.setdefault(replica, {})[name] = value
    return wanted_servers([read_load(figures) for figures in told.values()]), {}


def build_application(load: Load, config: ServeConfig, scale: Scale) -> Application:
    """Replicas that each ``load`` their models; Ray starts them."""
    from ray import serve
    from ray.serve.config import AutoscalingConfig, AutoscalingPolicy, RequestRouterConfig

    counted: dict[str, Any] = {"num_replicas": scale.least}
    if scale.most > scale.least:
        counted = {
            "autoscaling_config": AutoscalingConfig(
                min_replicas=scale.least,
                max_replicas=scale.most,
                upscale_delay_s=SCALE_UP_SECONDS,
                downscale_delay_s=SCALE_DOWN_SECONDS,
                look_back_period_s=LOOK_BACK_SECONDS,
                policy=AutoscalingPolicy(policy_function=wanted_replicas),
            )
        }
    deployment = serve.deployment(
        serve.ingress()(Replica),
        name="speech",
        ray_actor_options={"num_cpus": scale.processors, "num_gpus": scale.gpus},
        max_ongoing_requests=HEADROOM * config.limits.max_streams,
        max_queued_requests=config.limits.max_streams,  # others are told 503 by Ray
        graceful_shutdown_timeout_s=config.drain_seconds,
        graceful_shutdown_wait_loop_s=DRAIN_CHECK_SECONDS,
        health_check_period_s=HEALTH_SECONDS,
        health_check_timeout_s=UNHEALTHY_SECONDS,
        max_constructor_retry_count=1,
        request_router_config=RequestRouterConfig(
            request_router_class=f"{__name__}.{ROUTER}", request_routing_stats_period_s=LOAD_SECONDS
        ),
        **counted,
    )
    return deployment.bind(load, config)


def start(application: Application, config: ServeConfig, scale: Scale, port: int) -> None:
    """Run an application on this machine, or on the cluster that ``RAY_ADDRESS`` names; returns when it speaks."""
    import ray
    from ray import serve
    from ray.serve.config import HTTPOptions

    os.environ.setdefault("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", FRONT)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    given: dict[str, Any] = {}
    if OTHERS not in os.environ:
        processors = max(os.cpu_count() or 1, round(scale.most * scale.processors))
        given = {"address": "local", "num_cpus": processors, "include_dashboard": False}
    ray.init(**given)
    serve.start(
        http_options=HTTPOptions(
            host=config.host,
            port=port,
            ssl_certfile=config.tls_cert and str(Path(config.tls_cert).expanduser()),
            ssl_keyfile=config.tls_key and str(Path(config.tls_key).expanduser()),
        )
    )
    serve.run(application, name=APPLICATION, route_prefix="/")


def until_signal() -> None:
    """Wait for SIGINT or SIGTERM; after it another one does what it does by itself."""
    told = threading.Event()

    def end(given: int, _: object) -> None:
        signal.signal(given, signal.SIG_DFL)
        told.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    told.wait()


def stop() -> None:
    """Let what is being spoken end, and take down what `start` has started."""
    import ray
    from ray import serve

    if not ray.is_initialized():
        return
    try:
        if APPLICATION in serve.status().applications:
            serve.delete(APPLICATION)
        if OTHERS not in os.environ:  # on a cluster of others' there may be more than ours
            serve.shutdown()
    finally:
        ray.shutdown()
