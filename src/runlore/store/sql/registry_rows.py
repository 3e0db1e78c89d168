"""Registered models and versions as rows: names, look-ups, reading many at once."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

from runlore.blobs.reference import MODEL_ID
from runlore.entities import ModelVersion, ModelVersionTag, RegisteredModel, RegisteredModelAlias, RegisteredModelTag
from runlore.exceptions import InvalidParameter, NotFound
from runlore.store.sql.database import Row, Transaction

STAGES = ("None", "Staging", "Production", "Archived")
ACTIVE_STAGES = ("Staging", "Production")
_BY_LOWER = {stage.lower(): stage for stage in STAGES}
_VERSION_COLUMNS = (
    "creation_time, last_update_time, user_id, stage, description, source, run_id, status, status_message, run_link, model_id"
)


# -- names -------------------------------------------------------------------------------------------------------------


def checked_name(name: str) -> str:
    """A name for a new registered model, in Unicode normal form C.

    Everything that MLflow takes is taken, other scripts and spaces included, except what can be mistaken: control and
    invisible characters, spaces at either end, and names that look like the id of a logged model (`models:/m-…`).
    """
    name = unicodedata.normalize("NFC", name)
    if not name.strip():
        raise InvalidParameter("Missing value for required parameter 'name'.")
    if "/" in name or ":" in name:
        raise InvalidParameter(f"Invalid model name '{name}'. Names cannot contain '/' or ':'.")
    reason = None
    if name in (".", ".."):
        reason = "it would be read as a directory"
    elif name != name.strip():
        reason = "spaces at the beginning or end are not allowed"
    elif any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") for letter in name):
        reason = "control and invisible characters are not allowed"
    elif MODEL_ID.fullmatch(name):
        reason = "it has the form of a logged model's id"
    if reason:
        raise InvalidParameter(f"Invalid model name {name!r}: {reason}.")
    return name


def folded(name: str) -> str:
    """What two names have in common when they are one name: letter case and Unicode composition do not count."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def existing_name(db: Transaction, name: str, lock: bool = False) -> str:
    """The name as it was registered, whatever its spelling here. `lock` makes writers of one model wait for each other.

    Raises `NotFound`.
    """
    suffix = db.for_update if lock else ""
    row = db.one("SELECT name FROM registered_model WHERE folded_name = ?" + suffix, (folded(name),))
    if row is None:
        raise NotFound(f"Registered Model with name={name} not found")
    return str(row[0])


def existing_version(db: Transaction, name: str, version: str, lock: bool = False) -> tuple[str, int]:
    """Registered name and number of a version. Raises `NotFound`."""
    name = existing_name(db, name, lock)
    if not db.one("SELECT 1 FROM model_version WHERE name = ? AND version = ?", (name, int(version))):
        raise NotFound(f"Model Version (name={name}, version={version}) not found")
    return name, int(version)


def canonical_stage(stage: str) -> str:
    """`Production` for `production`, `PRODUCTION` …"""
    if stage.lower() not in _BY_LOWER:
        raise InvalidParameter(f"Invalid Model Version stage: {stage}. Value must be one of {', '.join(STAGES)}.")
    return _BY_LOWER[stage.lower()]


def check_alias(alias: str) -> None:
    """Raise `InvalidParameter` for an alias that can not be set: odd characters, `latest`, `v1`."""
    if not re.fullmatch(r"[\w\-]+", alias):
        raise InvalidParameter(
            f"Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-)."
        )
    if alias.lower() == "latest":
        raise InvalidParameter("'latest' alias name (case insensitive) is reserved.")
    if re.fullmatch(r"[vV]\d+", alias):
        raise InvalidParameter(f"Version alias name '{alias}' is reserved.")


# -- reading -----------------------------------------------------------------------------------------------------------


def latest_versions(db: Transaction, names: Sequence[str], stages: Iterable[str] = STAGES) -> dict[str, list[ModelVersion]]:
    """The newest version of each stage that has one, in the order of `STAGES`, by registered name. Five statements."""
    if not names:
        return {}
    wanted = [stage for stage in STAGES if stage in stages]
    condition, parameter = db.among("name", names)
    rows = db.all(f"SELECT name, stage, MAX(version) FROM model_version WHERE {condition} GROUP BY name, stage", (parameter,))
    rows = sorted((row for row in rows if row[1] in wanted), key=lambda row: wanted.index(row[1]))
    found: dict[str, list[ModelVersion]] = defaultdict(list)
    for version in read_model_versions(db, [(name, number) for name, _, number in rows]):
        found[version.name].append(version)
    return found


def read_registered_models(db: Transaction, names: Sequence[str]) -> list[RegisteredModel]:
    """Models with tags, aliases and the latest version of each stage, in the order of `names` (registered spelling), in seven
    statements however many there are. Unknown names are left out."""
    if not names:
        return []
    condition, parameter = db.among("name", names)

    def rows(columns: str, table: str, order: str) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = defaultdict(list)
        for row in db.all(f"SELECT name, {columns} FROM {table} WHERE {condition} ORDER BY name, {order}", (parameter,)):
            found[row[0]].append(row)
        return found

    infos = rows("creation_time, last_update_time, description", "registered_model", "creation_time")
    tags, aliases = rows("key, value", "registered_model_tag", "key"), rows("alias, version", "model_alias", "alias")
    latest = latest_versions(db, names)
    return [
        RegisteredModel(
            name=name,
            creation_timestamp=infos[name][0][1],
            last_updated_timestamp=infos[name][0][2],
            description=infos[name][0][3],
            latest_versions=latest.get(name, []),
            tag_list=[RegisteredModelTag(key=key, value=value) for _, key, value in tags.get(name, ())],
            alias_list=[RegisteredModelAlias(alias=alias, version=str(number)) for _, alias, number in aliases.get(name, ())],
        )
        for name in names
        if name in infos
    ]


def read_model_versions(db: Transaction, pairs: Sequence[tuple[str, int]]) -> list[ModelVersion]:
    """Versions with tags and aliases, in the order of `pairs` (registered name, number), in three statements however many
    there are. Unknown ones are left out."""
    if not pairs:
        return []
    names, name_values = db.among("name", sorted({name for name, _ in pairs}))
    numbers, number_values = db.among("version", sorted({number for _, number in pairs}))

    def rows(columns: str, table: str, order: str) -> dict[tuple[str, int], list[Row]]:
        found: dict[tuple[str, int], list[Row]] = defaultdict(list)
        sql = f"SELECT name, version, {columns} FROM {table} WHERE {names} AND {numbers} ORDER BY name, version, {order}"
        for row in db.all(sql, (name_values, number_values)):
            found[row[0], row[1]].append(row)
        return found

    infos = rows(_VERSION_COLUMNS, "model_version", "creation_time")
    tags, aliases = rows("key, value", "model_version_tag", "key"), rows("alias", "model_alias", "alias")
    return [_model_version(infos[pair][0], tags.get(pair, ()), aliases.get(pair, ())) for pair in pairs if pair in infos]


def _model_version(row: Row, tags: Iterable[Row], aliases: Iterable[Row]) -> ModelVersion:
    name, version, created, updated, user_id, stage, description, source, run_id, status, message, run_link, model_id = row
    return ModelVersion(
        name=name,
        version=str(version),
        creation_timestamp=created,
        last_updated_timestamp=updated,
        user_id=user_id,
        current_stage=stage,
        description=description,
        source=source,
        run_id=run_id,
        status=status,
        status_message=message,
        tag_list=[ModelVersionTag(key=key, value=value) for *_, key, value in tags],
        run_link=run_link,
        aliases=[alias for *_, alias in aliases],
        model_id=model_id,
    )
