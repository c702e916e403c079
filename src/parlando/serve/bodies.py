"""What all bodies of requests have in common: ``null`` means left out, and unknown fields are told, not refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from starlette.requests import HTTPConnection

from parlando.core.errors import nearest
from parlando.serve.call import MOST_WARNINGS, call_of

STRICT_HEADER = "x-parlando-strict"
LONGEST_NAME = 60
_NULL = {"type": "null"}
_ABOUT = ("title", "description", "default", "examples")


class Unheeded(NamedTuple):
    """A field that nobody heeds: its path, whether its protocol has such a field, and which may have been meant."""

    place: str
    known: bool
    hint: str


class Body(BaseModel):
    """An object in a request; ``without_effect`` names fields of its protocol that mean nothing here."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)
    without_effect: ClassVar[frozenset[str]] = frozenset()
    has_null: ClassVar[bool] = True

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema, in which whatever may be left out may be null as well."""
        schema = handler(core_schema)
        described = handler.resolve_ref_schema(schema)
        if not cls.has_null:
            return schema
        needed = described.get("required", ())
        for name, each in described.get("properties", {}).items():
            if name not in needed and _NULL not in each.get("anyOf", ()):
                described["properties"][name] = _nullable(each)
        return schema

    def unheeded(self, place: str = "") -> Iterator[Unheeded]:
        """Every field that nobody heeds, here and in the objects inside."""
        for name in self.model_extra or {}:
            shown = name[:LONGEST_NAME]
            known = name in self.without_effect
            hint = "" if known else nearest(shown, type(self).model_fields)
            yield Unheeded(place + ascii(shown)[1:-1], known, hint)
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Body):
                yield from value.unheeded(f"{place}{name}.")
            elif isinstance(value, list):
                for index, each in enumerate(value):
                    if isinstance(each, Body):
                        yield from each.unheeded(f"{place}{name}.{index}.")


class RequestBody(Body):
    """The outermost object of a request."""

    strict: bool = Field(default=False, description="Refuse fields that are not known, in place of a warning.")


class FormBody(RequestBody):
    """A form, whose fields are text and files and never null."""

    has_null: ClassVar[bool] = False


def heed(body: RequestBody, asked: HTTPConnection) -> list[str]:
    """Tell the caller of fields that nobody heeds: in a header of the answer, and in the log. Returns what is told.

    Raises:
        RequestValidationError: one is not known, and the request or the server is strict.
    """
    strict = body.strict or asked.app.state.service.config.strict
    strict = strict or asked.headers.get(STRICT_HEADER, "").lower() in ("1", "true", "yes")
    told = []
    for field in body.unheeded():
        if strict and not field.known:
            message = f"there is no such field in this request; leave it out.{field.hint}"
            raise RequestValidationError([{"type": "extra_forbidden", "loc": ("body", field.place), "msg": message}])
        what = "has no effect here." if field.known else "is not a field of this request and was ignored."
        told.append(f"'{field.place}' {what}{field.hint}")
    for warning in told:
        call_of(asked.scope).warn(warning)
    return told[:MOST_WARNINGS]


def _nullable(described: dict[str, Any]) -> dict[str, Any]:
    """A schema that takes null besides; what is said about the field stays where it is."""
    about = {name: described[name] for name in _ABOUT if name in described}
    rest = {name: value for name, value in described.items() if name not in about}
    return {"anyOf": [*rest.pop("anyOf", [rest] if rest else []), _NULL], **about}
