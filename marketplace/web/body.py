"""Strict request bodies: one decoding pass in which `"100"` is no integer, 1.0 is no amount and unknown fields refuse.

Litestar's own path converts leniently (decision D11). A DTO that decodes by itself replaces that path and nothing
else: the schema in the API's description stays that of the Struct.
"""

from collections.abc import Generator
from functools import cache
from typing import Any, Generic, TypeVar

import msgspec
from litestar.dto import AbstractDTO
from litestar.dto.data_structures import DTOFieldDefinition
from litestar.typing import FieldDefinition

from marketplace.core.errors import AppError

BODY_BYTES_MAX = 2**20

T = TypeVar("T")


class UnsupportedMediaType(AppError):
    code = "unsupported-media-type"
    status = 415
    title = "The body must be JSON"


@cache
def _decoder(model: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(model, strict=True)


class StrictBody(AbstractDTO[T], Generic[T]):
    """`@post(dto=StrictBody[RefundBody])`: decodes `data` strictly. The Struct sets forbid_unknown_fields itself."""

    def decode_bytes(self, value: bytes) -> Any:
        """The body as the model. Raises msgspec.DecodeError, and UnsupportedMediaType for another content type.

        Of a field that is given twice the last one counts, as everywhere in JSON; a nesting deeper than any model of
        ours and text that is not UTF-8 are no JSON to us.
        """
        headers = self.asgi_connection.headers
        kind = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            raise UnsupportedMediaType(f"content-type: {kind!r} is not application/json")
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise UnsupportedMediaType("content-encoding: send the body as it is")
        decoder = _decoder(self.model_type)  # type: ignore[arg-type]  # a class is hashable
        try:
            return decoder.decode(value)
        except RecursionError as fault:
            raise msgspec.DecodeError("JSON is nested too deeply") from fault
        except UnicodeDecodeError as fault:
            raise msgspec.DecodeError("JSON is malformed: a text is not UTF-8") from fault

    def decode_builtins(self, value: dict[str, Any]) -> Any:
        raise UnsupportedMediaType("content-type: a form is not application/json")

    @classmethod
    def create_for_field_definition(
        cls, field_definition: FieldDefinition, handler_id: str, backend_cls: Any = None
    ) -> None:
        """No transfer model: the Struct is decoded as it is."""

    @classmethod
    def create_openapi_schema(cls, field_definition: FieldDefinition, handler_id: str, schema_creator: Any) -> Any:
        return schema_creator.for_field_definition(field_definition)

    @classmethod
    def generate_field_definitions(cls, model_type: type[Any]) -> Generator[DTOFieldDefinition, None, None]:
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        return False
