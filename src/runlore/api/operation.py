"""An operation is a value: one Struct per endpoint says its path, fields, limits, reply and the right it needs.

HTTP client, routes, validation, authorisation and the OpenAPI document are derived from these Structs. The wire rules that
differ from plain JSON live here and nowhere else:

* MLflow clients send int64 as text and non-finite floats as "NaN", "Infinity", "-Infinity": decoding is lax (`strict=False`);
* `msgspec.json.encode` writes non-finite floats as `null`; MLflow expects the words: `encode` puts them in.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar, get_args
from urllib.parse import quote

import msgspec
from msgspec import Meta

from runlore.api.refusals import refusal
from runlore.entities import Value
from runlore.exceptions import BadRequest, InvalidParameter

Reply = TypeVar("Reply")

# -- field types: each limit is stated once -----------------------------------------------------------------------------
# Patterns are anchored with \Z: "$" would let a final newline through.

RunId = Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{32}\Z", description="32 hexadecimal digits")]
ExperimentId = Annotated[str, Meta(pattern=r"^[0-9]{1,18}\Z", description="decimal digits")]
ModelId = Annotated[str, Meta(pattern=r"^m-[0-9a-f]{32}\Z", description="m- and 32 hexadecimal digits")]
Key = Annotated[str, Meta(min_length=1, max_length=250)]
ParamValue = Annotated[str, Meta(max_length=6_000)]
TagValue = Annotated[str, Meta(max_length=8_000)]
Name = Annotated[str, Meta(min_length=1, max_length=500)]
ModelName = Annotated[str, Meta(min_length=1, max_length=256)]
Version = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,17}\Z", description="decimal digits")]
Alias = Annotated[str, Meta(min_length=1, max_length=255)]
Uri = Annotated[str, Meta(max_length=2_000)]
Text = Annotated[str, Meta(max_length=65_536)]
Filter = Annotated[str, Meta(max_length=8_192)]
Millis = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1, description="Unix milliseconds")]
Step = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
ViewTypeWord = Literal["ACTIVE_ONLY", "DELETED_ONLY", "ALL"]
OrderBy = Annotated[list[Annotated[str, Meta(max_length=1_000)]], Meta(max_length=20)]
PageToken = Annotated[str, Meta(max_length=4_096)]
IdempotencyKey = Annotated[
    str, Meta(min_length=1, max_length=200, description="made by the client: the same key again gets the same answer")
]

# -- rights ---------------------------------------------------------------------------------------------------------------

Right = Literal["public", "signed", "view", "edit", "manage"]
Kind = Literal["server", "experiment", "run", "logged_model", "registered_model", "saved_view", "webhook"]
_KIND_OF_FIELD: dict[str, Kind] = {
    "run_id": "run",
    "run_ids": "run",
    "experiment_id": "experiment",
    "experiment_ids": "experiment",
    "experiment_name": "experiment",
    "model_id": "logged_model",
    "name": "registered_model",
    "view_id": "saved_view",
    "webhook_id": "webhook",
    "to_experiment_id": "experiment",
}


class Need(msgspec.Struct, frozen=True):
    """The right a caller must have, on which object, and the field of the operation that names the object."""

    right: Right
    kind: Kind = "server"
    field: str | None = None


def _need(right: Right, field: str | None, kind: Kind | None) -> Need:
    return Need(right, kind or (_KIND_OF_FIELD[field] if field else "server"), field)


def View(field: str | None = None, kind: Kind | None = None) -> Need:
    """May look. Operations that need only this never write."""
    return _need("view", field, kind)


def Edit(field: str | None = None, kind: Kind | None = None) -> Need:
    """May add and change."""
    return _need("edit", field, kind)


def Manage(field: str | None = None, kind: Kind | None = None) -> Need:
    """May delete, rename, promote."""
    return _need("manage", field, kind)


Public = Need("public")
Signed = Need("signed")
"""The address itself is the right: the server gave it to somebody who had one, for this file and for a while."""


# -- routes and operations ----------------------------------------------------------------------------------------------

Base = Literal["mlflow", "mlflow-artifacts", "v1"]
PREFIXES: dict[Base, tuple[str, ...]] = {
    "mlflow": ("/api/2.0/mlflow/", "/ajax-api/2.0/mlflow/", "/api/3.0/mlflow/", "/ajax-api/3.0/mlflow/"),
    "mlflow-artifacts": ("/api/2.0/mlflow-artifacts/", "/ajax-api/2.0/mlflow-artifacts/"),
    "v1": ("/api/v1/",),
}
"""Where each family of routes is served. The first one is the address that Runlore's own client uses."""


class Route(msgspec.Struct, frozen=True):
    """Where an operation is served. `path` may hold `{field}`; `also` lists further methods for the same path; `packed` replies
    hold binary columns and travel as MessagePack instead of JSON; `streamed` ones are files. `needs_too` is a second right, on
    where things are put."""

    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
    path: str
    needs: Need
    base: Base = "mlflow"
    also: tuple[str, ...] = ()
    packed: bool = False
    streamed: bool = False
    needs_too: Need | None = None
    fields: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "fields", frozenset(re.findall(r"\{(\w+)\}", self.path)))


class Operation(Value, Generic[Reply]):
    """One endpoint as a value. Subclasses state `route` and fields; the reply type is the type argument.

    An operation whose route needs only `View` (or is public) reads; all others write and go through the ingest queue.
    """

    route: ClassVar[Route]

    @classmethod
    def reply_type(cls) -> Any:
        """The Struct that answers this operation."""
        return get_args(cls.__orig_bases__[0])[0]  # type: ignore[attr-defined]  # set by typing.Generic

    @classmethod
    def writes(cls) -> bool:
        """True when the operation changes the store."""
        return cls.route.needs.right in ("edit", "manage")


def operations() -> Iterator[type[Operation[Any]]]:
    """Every operation of the contract, in the order of definition. One without a route is a store's own (`store/outbox.py`):
    nobody can ask for it from outside."""
    yield from (kind for kind in Operation.__subclasses__() if hasattr(kind, "route"))


# -- wire -------------------------------------------------------------------------------------------------------------------

_encoder = msgspec.json.Encoder()
_NON_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}
_NULL = re.compile(rb"[:\[,]null[,\]}]")


def encode(value: Any) -> bytes:
    """A Struct as JSON; non-finite floats become "NaN", "Infinity", "-Infinity".

    Our Structs leave `None` out, so a `null` in the fast encoding means that a float may have been lost; only then is the slow
    walk taken. The word in a text, such as a param "null", does not count.
    """
    raw = _encoder.encode(value)
    if b"null" not in raw or not _NULL.search(raw):
        return raw
    return _encoder.encode(_words(msgspec.to_builtins(value)))


def _words(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return _NON_FINITE.get(value, "NaN")
    if isinstance(value, dict):
        return {key: _words(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_words(item) for item in value]
    return value


def decode(raw: bytes, type_: type[Any]) -> Any:
    """JSON to a Struct, lax about numbers in quotes. Raises `InvalidParameter` with the place and the reason."""
    try:
        if b"\\" in raw and b"\\u0000" in raw:  # the first is a memchr, the second costs 50 µs on 90 kB
            _refuse_nul(msgspec.json.decode(raw))
        return (_decoders.get(type_) or _new_decoder(type_)).decode(raw)
    except msgspec.ValidationError as error:
        raise refusal(error, lambda: msgspec.json.decode(raw), _is_batch(type_)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not valid JSON: {error}") from None


_decoders: dict[type[Any], msgspec.json.Decoder[Any]] = {}


def _new_decoder(type_: type[Any]) -> msgspec.json.Decoder[Any]:
    return _decoders.setdefault(type_, msgspec.json.Decoder(type_, strict=False))


def _refuse_nul(value: Any) -> None:
    """Text with the character NUL is refused everywhere, because PostgreSQL can not hold it."""
    if isinstance(value, str) and "\0" in value:
        raise InvalidParameter(f"Text must not contain the character NUL: {value[:100]!r}.")
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for item in value:
            _refuse_nul(item)


def validated(operation: Operation[Reply]) -> Operation[Reply]:
    """The operation, checked against the limits of its fields: constructors do not look. Raises `InvalidParameter`."""
    values = msgspec.to_builtins(operation)
    try:
        if b"\\u0000" in _encoder.encode(values):
            _refuse_nul(values)
        return msgspec.convert(values, type(operation))
    except msgspec.ValidationError as error:
        raise refusal(error, lambda: values, _is_batch(type(operation))) from None
    except UnicodeEncodeError as error:
        raise InvalidParameter(f"{error}") from None


def from_request(
    kind: type[Operation[Reply]], body: bytes, query: Sequence[tuple[str, str]], path: Mapping[str, str]
) -> Operation[Reply]:
    """The operation that an HTTP request means. Fields come from the path, then the body, then the query string."""
    names = {item.encode_name: item for item in msgspec.structs.fields(kind)}
    if body and not path and not query:
        return decode(body, kind)  # type: ignore[no-any-return]
    values: dict[str, Any] = {}
    for name, text in query:
        if name not in names:
            continue
        if _is_list(names[name].type):
            values.setdefault(name, []).append(text)
        else:
            values[name] = text
    if body:
        values |= decode(body, dict)
    values |= path
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise refusal(error, lambda: values, _is_batch(kind)) from None


def to_request(operation: Operation[Any]) -> tuple[str, str, list[tuple[str, str]], bytes]:
    """Method, path, query and body of an operation: the inverse of `from_request`."""
    route = operation.route
    values = msgspec.to_builtins(operation)
    for name, encoded in _said_always(type(operation)):
        values[encoded] = getattr(operation, name)
    path = route.path
    for name in route.fields:
        path = path.replace("{" + name + "}", quote(str(values[name]), safe=""))
    path = PREFIXES[route.base][0] + path
    if route.method != "GET":  # the body repeats the fields of the path: MLflow's server looks for them there
        return route.method, path, [], _encoder.encode(_words(values))
    named = [(name, value) for name, value in values.items() if name not in route.fields]
    query = [(name, _text(item)) for name, value in named for item in (value if isinstance(value, list) else [value])]
    return route.method, path, query, b""


@cache
def _said_always(kind: type[Operation[Any]]) -> tuple[tuple[str, str], ...]:
    """Fields that are sent even with their default, because MLflow's server has other defaults: no number of a search means 0,
    no experiment of a run one that does not exist, and no name of a logged model a random one."""
    if kind.route.base == "v1":
        return ()
    fields = msgspec.structs.fields(kind)
    return tuple((item.name, item.encode_name) for item in fields if isinstance(item.default, str | int) and item.default)


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _is_batch(type_: Any) -> bool:
    return {"metrics", "params", "tags"} <= set(getattr(type_, "__struct_fields__", ()))


def _is_list(type_: Any) -> bool:
    text = str(type_)
    return "list[" in text or "tuple[" in text
