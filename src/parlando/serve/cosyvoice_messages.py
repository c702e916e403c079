"""The messages of cosyvoice.proto, put together from its names and numbers when they are needed.

Generated code would demand one version of protobuf; the packages of voice agents demand another.
"""

from __future__ import annotations

from typing import Any

# Fields by number from 1; those of these names are bytes, all others text.
FIELDS = {
    "sftRequest": ("spk_id", "tts_text"),
    "zeroshotRequest": ("tts_text", "prompt_text", "prompt_audio"),
    "crosslingualRequest": ("tts_text", "prompt_audio"),
    "instructRequest": ("tts_text", "spk_id", "instruct_text"),
    "Response": ("tts_audio",),
}
BYTES = ("prompt_audio", "tts_audio")
KINDS = {
    "sft_request": "sftRequest",
    "zero_shot_request": "zeroshotRequest",
    "cross_lingual_request": "crosslingualRequest",
    "instruct_request": "instructRequest",
}


def message_classes() -> tuple[Any, Any]:
    """``cosyvoice.Request`` and ``cosyvoice.Response``, in a pool of their own beside whatever a process has."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="cosyvoice.proto", package="cosyvoice", syntax="proto3")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for number, field in enumerate(fields, 1):
            kind = kinds.TYPE_BYTES if field in BYTES else kinds.TYPE_STRING
            message.field.add(name=field, number=number, type=kind, label=kinds.LABEL_OPTIONAL)
    request = file.message_type.add(name="Request")
    request.oneof_decl.add(name="RequestPayload")
    for number, (field, name) in enumerate(KINDS.items(), 1):
        request.field.add(
            name=field,
            number=number,
            type=kinds.TYPE_MESSAGE,
            type_name=f".cosyvoice.{name}",
            label=kinds.LABEL_OPTIONAL,
            oneof_index=0,
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = (pool.FindMessageTypeByName(f"cosyvoice.{name}") for name in ("Request", "Response"))
    first, second = map(message_factory.GetMessageClass, found)
    return first, second
