"""Where a new model version's files are: the source that a caller names becomes a place that the store vouches for.

A source is believed only when it leads, in the database, to a run or a logged model; what lies in a foreign object store is
kept as a reference that the server never opens. Local paths, web addresses, and anything with a query, a fragment or an
encoded character is refused: each has been a way to other people's files in other registries.
"""

from __future__ import annotations

import re

from runlore.api.registry import CreateModelVersion
from runlore.blobs.base import ArtifactPath
from runlore.blobs.reference import (
    MODEL_ID,
    RUN_ID,
    ModelReference,
    RunReference,
    VersionReference,
    parse_reference,
)
from runlore.entities import Value
from runlore.exceptions import InvalidParameter, NotFound
from runlore.store.sql.database import Row, Transaction
from runlore.store.sql.registry_rows import canonical_stage, existing_name
from runlore.store.sql.run_rows import run_key

OBJECT_STORES = ("s3", "gs", "az", "abfs", "abfss", "wasb", "wasbs", "r2")
_AUTHORITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(@[A-Za-z0-9][A-Za-z0-9.-]*)?")


class Origin(Value):
    """What is pinned when a version is made: the source to show, where the files are, and what they came from."""

    source: str
    location: str
    run_id: str | None = None
    model_id: str | None = None


def pin(db: Transaction, op: CreateModelVersion) -> Origin:
    """The origin that a new version's `source`, `run_id` and `model_id` add up to. Raises `InvalidParameter`, `NotFound`."""
    source = op.source
    if not source:
        raise InvalidParameter("Missing value for required parameter 'source'.")
    if found := re.search(r"[?#;%\\\x00-\x1f\x7f]", source):
        raise _invalid(source, f"{found[0]!r} is not allowed in a source")
    if op.model_id:
        _model(db, op.model_id)
    given = Origin(source=source, location=source, run_id=op.run_id.lower() if op.run_id else None, model_id=op.model_id)
    try:
        reference = parse_reference(source)
        match reference:
            case RunReference():
                origin = _from_run(db, given, reference)
            case ModelReference():
                origin = _from_model(db, given, reference)
            case VersionReference():
                origin = _from_version(db, given, reference)
            case _:
                origin = _from_place(db, given)
    except InvalidParameter as error:
        raise error if error.message.startswith("Invalid model version source") else _invalid(source, error.message) from None
    return _with_run_of_model(db, origin)


def _from_run(db: Transaction, given: Origin, reference: RunReference) -> Origin:
    if given.run_id not in (None, reference.run_id):
        raise _not_in(given.source, "run_id")
    artifact_uri = _run_location(db, reference.run_id)
    if artifact_uri is None:
        raise NotFound(f"Run with id={reference.run_id} not found")
    name, _, inner = reference.path.partition("/")
    models: dict[str, str] = dict(
        db.all(
            "SELECT model_id, artifact_uri FROM logged_model WHERE source_run_id = ? AND name = ? AND deleted_time IS NULL"
            " ORDER BY creation_time DESC, model_id DESC",
            (reference.run_id, name),
        )
    )
    model_id = given.model_id or next(iter(models), None)
    if model_id is None:
        return Origin(source=given.source, location=_join(artifact_uri, reference.path), run_id=reference.run_id)
    if model_id not in models:
        raise _not_in(given.source, "model_id")
    location = _join(models[model_id], inner)
    return Origin(source=given.source, location=location, run_id=reference.run_id, model_id=model_id)


def _from_model(db: Transaction, given: Origin, reference: ModelReference) -> Origin:
    if given.model_id not in (None, reference.model_id):
        raise _not_in(given.source, "model_id")
    artifact_uri, _ = _model(db, reference.model_id)
    location = _join(artifact_uri, reference.path)
    return Origin(source=given.source, location=location, run_id=given.run_id, model_id=reference.model_id)


def _from_version(db: Transaction, given: Origin, reference: VersionReference) -> Origin:
    name = existing_name(db, reference.name)
    version = _number(db, name, reference)
    row = db.one("SELECT storage_location, run_id, model_id FROM model_version WHERE name = ? AND version = ?", (name, version))
    if row is None:
        raise NotFound(f"Model Version (name={name}, version={version}) not found")
    if given.run_id not in (None, row[1]) or given.model_id not in (None, row[2]):
        raise _invalid(given.source, "The run_id and model_id request parameters must match the referenced model version")
    path = f"/{reference.path}" if reference.path else ""
    return Origin(
        source=f"models:/{name}/{version}{path}", location=_join(row[0], reference.path), run_id=row[1], model_id=row[2]
    )


def _number(db: Transaction, name: str, reference: VersionReference) -> int:
    if reference.version:
        return int(reference.version)
    if reference.alias:
        row = db.one("SELECT version FROM model_alias WHERE name = ? AND alias = ?", (name, reference.alias))
    elif reference.stage:
        stage = canonical_stage(reference.stage)
        row = db.one("SELECT MAX(version) FROM model_version WHERE name = ? AND stage = ?", (name, stage))
    else:
        row = db.one("SELECT MAX(version) FROM model_version WHERE name = ?", (name,))
    if row is None or row[0] is None:
        raise NotFound(f"There is no version of the model {name!r} with this alias or stage.")
    return int(row[0])


def _from_place(db: Transaction, given: Origin) -> Origin:
    """A source that names a place: below `mlflow-artifacts:/` it must belong to a run or model, elsewhere it is a reference."""
    scheme, colon, rest = given.source.partition(":")
    if colon and scheme in OBJECT_STORES and rest.startswith("//"):
        authority, _, path = rest[2:].removesuffix("/").partition("/")
        if not _AUTHORITY.fullmatch(authority):
            raise _invalid(given.source, f"{authority[:100]!r} is not the name of a bucket")
        ArtifactPath(path)
        return given
    if scheme == "mlflow-artifacts" and rest.startswith("/") and not rest.startswith("//"):
        ArtifactPath(rest[1:].removesuffix("/"))
        return _owned(db, given)
    raise _invalid(
        given.source,
        "Local paths and web addresses can not be sources. hint: log the files to a run first, then use runs:/<run_id>/<path>, "
        "models:/<model_id>, or an object store such as s3://<bucket>/<path>",
    )


def _owned(db: Transaction, given: Origin) -> Origin:
    """The run or logged model in whose directory the source lies, found by the ids in the path and checked in the database."""
    place = given.source.removesuffix("/")
    for part in place.split("/"):
        if MODEL_ID.fullmatch(part) and (row := _find_model(db, part)) and _inside(place, row[0]):
            if given.model_id not in (None, part):
                raise _not_in(given.source, "model_id")
            if not given.model_id and given.run_id not in (None, row[1]):
                raise _not_in(given.source, "run_id")
            return Origin(source=given.source, location=place, run_id=given.run_id, model_id=part)
        if RUN_ID.fullmatch(part) and (location := _run_location(db, part.lower())) and _inside(place, location):
            if given.run_id not in (None, part.lower()):
                raise _not_in(given.source, "run_id")
            if not given.model_id:  # MLflow 2 names the place below the run where it would have put a model
                path = ArtifactPath(place[len(location) + 1 :])
                return _from_run(db, given, RunReference(run_id=part.lower(), path=path))
            return Origin(source=given.source, location=place, run_id=part.lower(), model_id=given.model_id)
    raise _not_in(given.source, "run_id")


def _with_run_of_model(db: Transaction, origin: Origin) -> Origin:
    if origin.run_id or not origin.model_id:
        return origin
    row = _find_model(db, origin.model_id)
    run_id = row[1] if row else None
    return Origin(source=origin.source, location=origin.location, run_id=run_id, model_id=origin.model_id)


def _run_location(db: Transaction, run_id: str) -> str | None:
    row = db.one("SELECT artifact_uri FROM run WHERE run_key = ? AND run_id = ?", (run_key(run_id), run_id))
    return row[0] if row else None


def _find_model(db: Transaction, model_id: str) -> Row | None:
    return db.one(
        "SELECT artifact_uri, source_run_id FROM logged_model WHERE model_id = ? AND deleted_time IS NULL", (model_id,)
    )


def _model(db: Transaction, model_id: str) -> Row:
    row = _find_model(db, model_id)
    if row is None:
        raise NotFound(f"Logged model with ID '{model_id}' not found.")
    return row


def _join(location: str, path: str) -> str:
    return f"{location}/{path}" if path else location


def _inside(place: str, root: str) -> bool:
    return place == root or place.startswith(root + "/")


def _invalid(source: str, reason: str) -> InvalidParameter:
    return InvalidParameter(f"Invalid model version source: '{source[:500]}'. {reason.rstrip('.')}.")


def _not_in(source: str, parameter: str) -> InvalidParameter:
    return _invalid(source, f"The {parameter} request parameter must identify the resource that contains the source")
