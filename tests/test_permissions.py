"""Every operation says which right it needs, on an object that it names, and has exactly one handler and one address."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

import runlore.api  # noqa: F401  # defines every operation
from runlore.api.operation import PREFIXES, Operation, operations

ALL = list(operations())


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_the_right_names_a_field_of_the_operation(kind: type[Operation[Any]]) -> None:
    need = kind.route.needs
    assert need.right in ("public", "view", "edit", "manage")
    if need.field is not None:
        assert need.field in kind.__struct_fields__
    assert set(kind.route.fields) <= set(kind.__struct_fields__)
    assert kind.__doc__


def test_every_address_belongs_to_one_operation() -> None:
    addresses = Counter(
        (method, prefix + kind.route.path)
        for kind in ALL
        for prefix in PREFIXES[kind.route.base]
        for method in (kind.route.method, *kind.route.also)
    )
    assert [address for address, count in addresses.items() if count > 1] == []


def test_reading_verbs_never_write() -> None:
    for kind in ALL:
        methods = {kind.route.method, *kind.route.also}
        assert not ("GET" in methods and kind.writes()), f"{kind.__name__} changes the store on GET"


def test_every_operation_has_a_handler_of_the_same_name() -> None:
    from runlore.api import artifacts
    from runlore.store.sql.handlers import HANDLERS
    from runlore.store.sql.store import SqlStore  # noqa: F401  # importing the store registers its handlers

    of_the_server = {kind for kind in ALL if kind.__module__ == artifacts.__name__ or kind.route.streamed}
    assert {kind.__name__ for kind in ALL if kind not in HANDLERS} == {kind.__name__ for kind in of_the_server}


# Operations of MLflow's API that its client has under another name, or not at all.
OFFERED_AS = {
    "UpdateExperiment": "rename_experiment",
    "LogLoggedModelParams": "log_model_params",
    "GetMetricHistoryBulk": None,
    "GetMetricHistoryBulkInterval": None,
    "SearchDatasets": None,
    "CreatePresignedUploadUrl": None,
    "CreatePresignedDownloadUrl": None,
    "GetServerInfo": None,
    "LogModel": None,
}


def test_mlflow_operations_are_offered_by_the_client_under_their_name() -> None:
    from runlore.client import RunloreClient
    from runlore.store.sql.handlers import handler_name

    for kind in ALL:
        if kind.route.base == "mlflow":
            method = OFFERED_AS.get(kind.__name__, handler_name(kind))
            assert method is None or callable(getattr(RunloreClient, method, None)), f"{kind.__name__}: no client.{method}()"
