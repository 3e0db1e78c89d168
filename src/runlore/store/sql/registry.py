"""Handlers of operations on registered models and their versions, except the two searches (`search.py`).

A model is found under every spelling that folds to its name (`registry_rows.folded`); replies carry the registered one.
Writers of one model take the row lock of its registration first, so that two of them never see half of each other's work.
"""

from __future__ import annotations

from runlore.api.registry import (
    CreateModelVersion,
    CreateRegisteredModel,
    DeleteModelVersion,
    DeleteModelVersionTag,
    DeleteRegisteredModel,
    DeleteRegisteredModelAlias,
    DeleteRegisteredModelTag,
    DownloadUriReply,
    GetLatestVersions,
    GetModelVersion,
    GetModelVersionByAlias,
    GetModelVersionDownloadUri,
    GetRegisteredModel,
    ModelVersionReply,
    ModelVersionsReply,
    RegisteredModelReply,
    RenameRegisteredModel,
    SetModelVersionTag,
    SetRegisteredModelAlias,
    SetRegisteredModelTag,
    TransitionModelVersionStage,
    UpdateModelVersion,
    UpdateRegisteredModel,
)
from runlore.entities import Empty
from runlore.exceptions import AlreadyExists, InvalidParameter, NotFound
from runlore.store.sql.database import Transaction
from runlore.store.sql.handlers import handles
from runlore.store.sql.logged_models import user_of_run
from runlore.store.sql.model_source import pin
from runlore.store.sql.outbox import tell
from runlore.store.sql.registry_rows import (
    ACTIVE_STAGES,
    STAGES,
    canonical_stage,
    check_alias,
    checked_name,
    existing_name,
    existing_version,
    folded,
    latest_versions,
    read_model_versions,
    read_registered_models,
)
from runlore.store.sql.tags import checked_tags

# -- registered models -------------------------------------------------------------------------------------------------


@handles(CreateRegisteredModel)
def create_registered_model(db: Transaction, op: CreateRegisteredModel) -> RegisteredModelReply:
    """Register a name. The database decides who was first."""
    name = checked_name(op.name)
    made = db.execute(
        "INSERT INTO registered_model (name, folded_name, description, creation_time, last_update_time) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (folded_name) DO NOTHING",
        (name, folded(name), op.description or None, db.now, db.now),
    )
    if not made:
        raise _taken(name, existing_name(db, name))
    tags = checked_tags(op.tags)
    db.many(
        "INSERT INTO registered_model_tag (name, key, value) VALUES (?, ?, ?)",
        [(name, key, value) for key, value in tags.items()],
    )
    tell(db, "registered_model.created", {"name": name, "tags": tags, "description": op.description})
    return _model_reply(db, name)


@handles(GetRegisteredModel)
def get_registered_model(db: Transaction, op: GetRegisteredModel) -> RegisteredModelReply:
    """One model with the latest version of each stage."""
    return _model_reply(db, existing_name(db, op.name))


@handles(RenameRegisteredModel)
def rename_registered_model(db: Transaction, op: RenameRegisteredModel) -> RegisteredModelReply:
    """Give a new name, or the same one in another spelling. Versions, aliases and tags follow by foreign key."""
    name, new_name = existing_name(db, op.name, lock=True), checked_name(op.new_name)
    other = db.one("SELECT name FROM registered_model WHERE folded_name = ? AND name <> ?", (folded(new_name), name))
    if other:
        raise _taken(new_name, other[0])
    db.execute(
        "UPDATE registered_model SET name = ?, folded_name = ?, last_update_time = ? WHERE name = ?",
        (new_name, folded(new_name), db.now, name),
    )
    db.execute("UPDATE model_version SET last_update_time = ? WHERE name = ?", (db.now, new_name))
    return _model_reply(db, new_name)


@handles(UpdateRegisteredModel)
def update_registered_model(db: Transaction, op: UpdateRegisteredModel) -> RegisteredModelReply:
    """Change the description."""
    name = existing_name(db, op.name, lock=True)
    db.execute(
        "UPDATE registered_model SET description = ?, last_update_time = ? WHERE name = ?", (op.description, db.now, name)
    )
    return _model_reply(db, name)


@handles(DeleteRegisteredModel)
def delete_registered_model(db: Transaction, op: DeleteRegisteredModel) -> Empty:
    """Remove the model with its versions, aliases and tags."""
    db.execute("DELETE FROM registered_model WHERE name = ?", (existing_name(db, op.name, lock=True),))
    return Empty()


@handles(GetLatestVersions)
def get_latest_versions(db: Transaction, op: GetLatestVersions) -> ModelVersionsReply:
    """The newest version of each asked stage that has one."""
    name = existing_name(db, op.name)
    stages = [canonical_stage(stage) for stage in op.stages] or STAGES
    return ModelVersionsReply(model_versions=latest_versions(db, [name], stages).get(name, []))


@handles(SetRegisteredModelTag)
def set_registered_model_tag(db: Transaction, op: SetRegisteredModelTag) -> Empty:
    """Set one tag."""
    db.execute(
        "INSERT INTO registered_model_tag (name, key, value) VALUES (?, ?, ?)"
        " ON CONFLICT (name, key) DO UPDATE SET value = excluded.value",
        (existing_name(db, op.name, lock=True), op.key, op.value),
    )
    return Empty()


@handles(DeleteRegisteredModelTag)
def delete_registered_model_tag(db: Transaction, op: DeleteRegisteredModelTag) -> Empty:
    """Remove one tag; one that is not there is no error."""
    db.execute("DELETE FROM registered_model_tag WHERE name = ? AND key = ?", (existing_name(db, op.name, lock=True), op.key))
    return Empty()


@handles(SetRegisteredModelAlias)
def set_registered_model_alias(db: Transaction, op: SetRegisteredModelAlias) -> Empty:
    """Point an alias at a version."""
    check_alias(op.alias)
    name, version = existing_version(db, op.name, op.version, lock=True)
    db.execute(
        "INSERT INTO model_alias (name, alias, version) VALUES (?, ?, ?)"
        " ON CONFLICT (name, alias) DO UPDATE SET version = excluded.version",
        (name, op.alias, version),
    )
    tell(db, "model_version_alias.created", {"name": name, "alias": op.alias, "version": str(version)})
    return Empty()


@handles(DeleteRegisteredModelAlias)
def delete_registered_model_alias(db: Transaction, op: DeleteRegisteredModelAlias) -> Empty:
    """Remove an alias; one that is not there is no error."""
    name = existing_name(db, op.name, lock=True)
    db.execute("DELETE FROM model_alias WHERE name = ? AND alias = ?", (name, op.alias))
    tell(db, "model_version_alias.deleted", {"name": name, "alias": op.alias})  # of one that is not there, too: MLflow's rule
    return Empty()


@handles(GetModelVersionByAlias)
def get_model_version_by_alias(db: Transaction, op: GetModelVersionByAlias) -> ModelVersionReply:
    """The version that an alias points at. `latest` is always there: the newest version of any stage."""
    name = existing_name(db, op.name)
    if op.alias.lower() == "latest":
        row = db.one("SELECT MAX(version) FROM model_version WHERE name = ?", (name,))
        if row is None or row[0] is None:
            raise NotFound(f"Latest version not found for model {name}.")
    else:
        row = db.one("SELECT version FROM model_alias WHERE name = ? AND alias = ?", (name, op.alias))
        if row is None:
            raise InvalidParameter(f"Registered model alias {op.alias} not found.")
    return _version_reply(db, name, row[0])


# -- model versions ----------------------------------------------------------------------------------------------------


@handles(CreateModelVersion)
def create_model_version(db: Transaction, op: CreateModelVersion) -> ModelVersionReply:
    """Add the next version, with the place of its files pinned."""
    name = existing_name(db, op.name, lock=True)
    origin, tags = pin(db, op), checked_tags(op.tags)
    row = db.one(
        "UPDATE registered_model SET next_version = next_version + 1, last_update_time = ? WHERE name = ?"
        " RETURNING next_version - 1",
        (db.now, name),
    )
    assert row is not None  # the row is locked
    version = int(row[0])
    db.execute(
        "INSERT INTO model_version (name, version, source, storage_location, run_id, run_link, model_id, user_id, stage,"
        " status, description, creation_time, last_update_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'None', 'READY', ?, ?, ?)",
        (
            name,
            version,
            origin.source,
            origin.location,
            origin.run_id,
            op.run_link or None,
            origin.model_id,
            user_of_run(db, origin.run_id) or tags.get("mlflow.user"),
            op.description or None,
            db.now,
            db.now,
        ),
    )
    db.many(
        "INSERT INTO model_version_tag (name, version, key, value) VALUES (?, ?, ?, ?)",
        [(name, version, key, value) for key, value in tags.items()],
    )
    known = {"source": origin.source, "run_id": origin.run_id, "tags": tags, "description": op.description or None}
    tell(db, "model_version.created", {"name": name, "version": str(version), **known})
    return _version_reply(db, name, version)


@handles(GetModelVersion)
def get_model_version(db: Transaction, op: GetModelVersion) -> ModelVersionReply:
    """One version."""
    return _version_reply(db, *existing_version(db, op.name, op.version))


@handles(UpdateModelVersion)
def update_model_version(db: Transaction, op: UpdateModelVersion) -> ModelVersionReply:
    """Change the description."""
    name, version = existing_version(db, op.name, op.version, lock=True)
    db.execute(
        "UPDATE model_version SET description = ?, last_update_time = ? WHERE name = ? AND version = ?",
        (op.description, db.now, name, version),
    )
    return _version_reply(db, name, version)


@handles(TransitionModelVersionStage)
def transition_model_version_stage(db: Transaction, op: TransitionModelVersionStage) -> ModelVersionReply:
    """Move to a stage; on request the versions that are in it go to Archived."""
    stage = canonical_stage(op.stage)
    if op.archive_existing_versions and stage not in ACTIVE_STAGES:
        raise InvalidParameter(
            "Model version transition cannot archive existing model versions because "
            f"'{op.stage}' is not an Active stage. Valid stages are {', '.join(ACTIVE_STAGES)}."
        )
    name, version = existing_version(db, op.name, op.version, lock=True)
    if op.archive_existing_versions:
        db.execute(
            "UPDATE model_version SET stage = 'Archived', last_update_time = ? WHERE name = ? AND stage = ? AND version <> ?",
            (db.now, name, stage, version),
        )
    db.execute(
        "UPDATE model_version SET stage = ?, last_update_time = ? WHERE name = ? AND version = ?",
        (stage, db.now, name, version),
    )
    db.execute("UPDATE registered_model SET last_update_time = ? WHERE name = ?", (db.now, name))
    return _version_reply(db, name, version)


@handles(DeleteModelVersion)
def delete_model_version(db: Transaction, op: DeleteModelVersion) -> Empty:
    """Remove a version with its aliases and tags. Its number is not given again."""
    name, version = existing_version(db, op.name, op.version, lock=True)
    db.execute("DELETE FROM model_version WHERE name = ? AND version = ?", (name, version))
    db.execute("UPDATE registered_model SET last_update_time = ? WHERE name = ?", (db.now, name))
    return Empty()


@handles(GetModelVersionDownloadUri)
def get_model_version_download_uri(db: Transaction, op: GetModelVersionDownloadUri) -> DownloadUriReply:
    """The place that was pinned when the version was made."""
    name, version = existing_version(db, op.name, op.version)
    row = db.one("SELECT storage_location FROM model_version WHERE name = ? AND version = ?", (name, version))
    assert row is not None  # same snapshot
    return DownloadUriReply(artifact_uri=row[0])


@handles(SetModelVersionTag)
def set_model_version_tag(db: Transaction, op: SetModelVersionTag) -> Empty:
    """Set one tag."""
    name, version = existing_version(db, op.name, op.version, lock=True)
    db.execute(
        "INSERT INTO model_version_tag (name, version, key, value) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (name, version, key) DO UPDATE SET value = excluded.value",
        (name, version, op.key, op.value),
    )
    tell(db, "model_version_tag.set", {"name": name, "version": str(version), "key": op.key, "value": op.value})
    return Empty()


@handles(DeleteModelVersionTag)
def delete_model_version_tag(db: Transaction, op: DeleteModelVersionTag) -> Empty:
    """Remove one tag; one that is not there is no error."""
    name, version = existing_version(db, op.name, op.version, lock=True)
    db.execute("DELETE FROM model_version_tag WHERE name = ? AND version = ? AND key = ?", (name, version, op.key))
    tell(db, "model_version_tag.deleted", {"name": name, "version": str(version), "key": op.key})
    return Empty()


def _model_reply(db: Transaction, name: str) -> RegisteredModelReply:
    return RegisteredModelReply(registered_model=read_registered_models(db, [name])[0])


def _version_reply(db: Transaction, name: str, version: int) -> ModelVersionReply:
    return ModelVersionReply(model_version=read_model_versions(db, [(name, version)])[0])


def _taken(name: str, existing: str) -> AlreadyExists:
    spelled = "" if name == existing else f" It is spelled {existing!r}; letter case and composition make no difference."
    return AlreadyExists(f"Registered Model (name={name}) already exists.{spelled}")
