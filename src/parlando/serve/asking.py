"""How doors over HTTP begin to speak: as whoever asks, who is told where a name stands for somebody else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from starlette.requests import HTTPConnection

from parlando.serve.call import call_of
from parlando.serve.names import is_published
from parlando.serve.service import Making, Service, Speaking, Utterance


def begin(
    service: Service,
    asked: HTTPConnection,
    utterances: Utterance | Sequence[Utterance],
    format: str | Making | None = None,
) -> Speaking:
    """`Service.open` for this caller, with a warning for each model and voice that is not the one of that name, and
    for each recording whose words seem to be others.
    """
    call = call_of(asked.scope)
    speaking = service.open(utterances, format, call.caller, call.warn)
    for each in [utterances] if isinstance(utterances, Utterance) else utterances:
        for warning in _stand_ins(service, each, call.caller):
            call.warn(warning)
    return speaking


def _stand_ins(service: Service, utterance: Utterance, caller: str) -> Iterator[str]:
    host, model, voice = service.host(utterance.model), utterance.model, utterance.voice
    if model is not None and model != host.name and is_published(model):
        yield f"model '{model[:60]}' is not loaded here; '{host.name}' speaks in its place."
    if isinstance(voice, str) and service.voices.is_prompt_voice(host, voice, caller):
        yield f"voice '{voice[:60]}' is not here; '{service.voices.resolve(host, voice, caller)}' speaks in its place."
