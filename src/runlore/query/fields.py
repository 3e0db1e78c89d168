"""What may be compared with what, for each kind of object that can be searched.

Facts about MLflow: which entity types, attribute keys, aliases and comparators its SQL store accepts (2.22 and 3.17; where they
differ, the union). `RUN_TABLE` is Runlore's own grammar.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from runlore.query.ast import Kind, Operator

Form = Literal["text", "number", "integer", "id", "time", "duration"]
"""What an attribute holds. "integer" refuses fractions; "id" is a decimal number written in quotes. "time" and "duration" are
numbers of milliseconds that can also be written as dates, ages and spans (`2026-01-31`, `-7d`, `2h`)."""
NUMBERS: tuple[Form, ...] = ("number", "time", "duration")

NUMERIC: tuple[Operator, ...] = ("=", "!=", "<", "<=", ">", ">=")
_TEXT: tuple[Operator, ...] = ("=", "!=", "LIKE", "ILIKE")
_NULL: tuple[Operator, ...] = ("IS NULL", "IS NOT NULL")
_LIST: tuple[Operator, ...] = ("IN", "NOT IN")
_ID: tuple[Operator, ...] = ("=", "!=", *_LIST)
_REGEX: tuple[Operator, ...] = ("~", "!~")
ALL: tuple[Operator, ...] = (*NUMERIC, "LIKE", "ILIKE", *_LIST, *_NULL, *_REGEX)


class Attribute(msgspec.Struct, frozen=True):
    """A property that each object of a kind has (though it may be empty)."""

    name: str
    operators: tuple[Operator, ...] = _TEXT
    form: Form = "text"
    orderable: bool = True
    filterable: bool = True
    quotable: bool = False
    """A number may be written in quotes."""


class Subject(msgspec.Struct, frozen=True):
    """The grammar of one searchable kind. Mappings are from every accepted spelling to the canonical name."""

    noun: str
    entities: dict[str, Kind]
    attributes: dict[str, Attribute]
    operators: dict[Kind, tuple[Operator, ...]]
    orderable: tuple[Kind, ...] = ("attribute",)
    native: bool = False
    """Runlore's own grammar: OR, NOT, parentheses, aggregates, units …; `!=` is true of objects without the field, `''` is one
    quote."""

    def names(self) -> list[str]:
        """Canonical entity types, for error messages."""
        return list(dict.fromkeys(self.entities.values()))


_ATTRIBUTE: dict[str, Kind] = dict.fromkeys(("attribute", "attributes", "attr", "run"), "attribute")
_METRIC: dict[str, Kind] = dict.fromkeys(("metric", "metrics"), "metric")
_PARAM: dict[str, Kind] = dict.fromkeys(("parameter", "parameters", "param", "params"), "param")
_TAG: dict[str, Kind] = dict.fromkeys(("tag", "tags"), "tag")
_DATASET: dict[str, Kind] = dict.fromkeys(("dataset", "datasets"), "dataset")


def _attributes(*attributes: Attribute, **aliases: str) -> dict[str, Attribute]:
    """Attributes by name and by alias."""
    by_name = {attribute.name: attribute for attribute in attributes}
    return by_name | {alias: by_name[name] for alias, name in aliases.items()}


_RUN_ATTRIBUTES = _attributes(
    Attribute("run_id", (*_TEXT, *_LIST)),
    Attribute("run_name"),
    Attribute("user_id"),
    Attribute("status"),
    Attribute("artifact_uri"),
    Attribute("start_time", NUMERIC, "number"),
    Attribute("end_time", NUMERIC, "number"),
    created="start_time",
    Created="start_time",
    **{"run name": "run_name", "Run name": "run_name", "Run Name": "run_name"},
)

RUNS = Subject(
    "runs",
    _METRIC | _PARAM | _TAG | _ATTRIBUTE | _DATASET,
    _RUN_ATTRIBUTES,
    {"metric": NUMERIC, "param": (*_TEXT, *_NULL), "tag": (*_TEXT, *_NULL), "dataset": (*_TEXT, *_LIST)},
    orderable=("attribute", "metric", "param", "tag"),
)

_NATIVE_OPERATORS: dict[Form, tuple[Operator, ...]] = {
    "text": ALL,
    **dict.fromkeys(("number", "integer", "time", "duration"), (*NUMERIC, *_LIST, *_NULL)),
    "id": (*_ID, *_NULL),
}
_TIMES = _attributes(
    Attribute("start_time", form="time"),
    Attribute("end_time", form="time"),
    created="start_time",
    Created="start_time",
)
_RUN_TABLE_ATTRIBUTES = (
    _RUN_ATTRIBUTES
    | _TIMES
    | _attributes(
        Attribute("experiment_id", form="id"),
        Attribute("lifecycle_stage"),
        Attribute("duration", form="duration"),
        Attribute("last_activity", form="time"),
    )
    | {"name": _RUN_ATTRIBUTES["run_name"], "user": _RUN_ATTRIBUTES["user_id"]}
)

RUN_TABLE = Subject(
    "runs",
    RUNS.entities,
    {
        name: msgspec.structs.replace(attribute, operators=_NATIVE_OPERATORS[attribute.form])
        for name, attribute in _RUN_TABLE_ATTRIBUTES.items()
    },
    {"metric": _NATIVE_OPERATORS["number"], "param": ALL, "tag": ALL, "dataset": ALL},
    orderable=("attribute", "metric", "param", "tag"),
    native=True,
)

EXPERIMENTS = Subject(
    "experiments",
    _TAG | _ATTRIBUTE,
    _attributes(
        Attribute("name"),
        Attribute("experiment_id", _ID, "id"),
        Attribute("creation_time", NUMERIC, "integer"),
        Attribute("last_update_time", NUMERIC, "integer"),
    ),
    {"tag": (*_TEXT, *_NULL)},
)

REGISTERED_MODELS = Subject(
    "registered models",
    _TAG | _ATTRIBUTE,
    _attributes(
        Attribute("name", (*_TEXT, *_LIST)),
        Attribute("last_updated_timestamp", NUMERIC, "integer", filterable=False),
        Attribute("creation_timestamp", NUMERIC, "integer", filterable=False),
        timestamp="last_updated_timestamp",
    ),
    {"tag": _TEXT},
)

MODEL_VERSIONS = Subject(
    "model versions",
    _TAG | _ATTRIBUTE,
    _attributes(
        Attribute("name", (*_TEXT, *_LIST)),
        Attribute("run_id", (*_TEXT, *_LIST), orderable=False),
        Attribute("source_path", orderable=False),
        Attribute("version_number", NUMERIC, "integer", quotable=True),
        Attribute("creation_timestamp", NUMERIC, "integer", filterable=False),
        Attribute("last_updated_timestamp", NUMERIC, "integer", filterable=False),
    ),
    {"tag": _TEXT},
)

LOGGED_MODELS = Subject(
    "logged models",
    _METRIC | _PARAM | _TAG | _ATTRIBUTE,
    _attributes(
        *(
            Attribute(name, (*_TEXT, *_LIST))
            for name in ("name", "model_id", "model_type", "status", "source_run_id", "status_message", "artifact_location")
        ),
        Attribute("experiment_id", _ID, "id"),
        Attribute("creation_timestamp", NUMERIC, "number"),
        Attribute("last_updated_timestamp", NUMERIC, "number"),
        creation_time="creation_timestamp",
        creation_timestamp_ms="creation_timestamp",
        last_updated_time="last_updated_timestamp",
        last_updated_timestamp_ms="last_updated_timestamp",
    ),
    {"metric": NUMERIC, "param": (*_TEXT, *_LIST), "tag": (*_TEXT, *_LIST)},
    orderable=("attribute", "metric"),
)
