"""The search of runs against an oracle in plain Python, on generated runs, filters and orders."""

from __future__ import annotations

import base64
import math
import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from tests.store.population import TEXTS, VALUES, Seen, compare, populate

from runlore.api.runs import CreateRun, DeleteRun, LogBatch, MetricPoint, ParamEntry, SearchRuns
from runlore.exceptions import InvalidParameter
from runlore.store.base import Store
from runlore.store.sql import search_runs

Clause = tuple[str, str, str, Any]


@pytest.fixture(params=["scan", "walk"])
def plan(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches answer the same by either plan; small stores are searched by a scan unless walks are kept very short."""
    if request.param == "walk":
        monkeypatch.setattr(search_runs, "_WALK", 3)


def search(store: Store, experiments: Sequence[str], text: str = "", order_by: Sequence[str] = (), **more: Any) -> list[str]:
    """Ids of all runs that a search finds, page by page."""
    found: list[str] = []
    token = ""
    while True:
        op = SearchRuns(experiment_ids=list(experiments), filter=text, order_by=list(order_by), page_token=token, **more)
        reply = store.call(op)
        assert len(reply.runs) <= op.max_results
        found += [run.info.run_id for run in reply.runs]
        if not (token := reply.next_page_token or ""):
            return found
        assert len(reply.runs) == op.max_results


# -- the oracle -------------------------------------------------------------------------------------------------------


def holds(run: Seen, clause: Clause) -> bool:
    kind, key, operator, value = clause
    if kind == "dataset":
        return any(item[key] is not None and compare(item[key], operator, value) for item in run.datasets)
    if kind == "metrics":
        return key in run.metrics and compare(run.metrics[key][-1], operator, value)
    left = {"params": run.params, "tags": run.tags, "attributes": run.attributes}[kind].get(key)
    if operator in ("IS NULL", "IS NOT NULL"):
        return (left is None) == (operator == "IS NULL")
    return left is not None and compare(left, operator, value)


def sort_value(run: Seen, kind: str, key: str) -> tuple[int, Any]:
    """Rank (value, NaN, missing) and value."""
    if kind == "metrics":
        if key not in run.metrics:
            return 2, 0
        value = run.metrics[key][-1]
        return (1, 0) if math.isnan(value) else (0, value)
    found = {"params": run.params, "tags": run.tags, "attributes": run.attributes}[kind].get(key)
    return (2, 0) if found is None else (0, found)


def ordered(runs: list[Seen], orders: Sequence[tuple[str, str, bool]]) -> list[str]:
    runs = sorted(runs, key=lambda run: run.run_id)
    runs.sort(key=lambda run: -run.attributes["start_time"])
    for kind, key, descending in reversed(orders):
        ranks: list[list[Seen]] = [[], [], []]
        for run in runs:
            ranks[sort_value(run, kind, key)[0]].append(run)
        ranks[0].sort(key=lambda run: sort_value(run, kind, key)[1], reverse=descending)
        runs = [run for rank in ranks for run in rank]
    return [run.run_id for run in runs]


# -- generated searches -----------------------------------------------------------------------------------------------

NUMERIC = ["=", "!=", "<", "<=", ">", ">="]
PATTERNS = ["%", "a%", "A%", "%DAM", "a_b", "%\\%", "%[z]", "x*y_[%", "É%", "%é", "_____", "", "%'s", "50%"]


def a_clause(chance: random.Random, runs: list[Seen]) -> Clause:
    kind = chance.choice(["metrics", "params", "tags", "attributes", "attributes", "dataset"])
    if kind == "metrics":
        value = chance.choice([number for number in VALUES if math.isfinite(number)])
        return kind, chance.choice(["loss", "acc", "none"]), chance.choice(NUMERIC), value
    if kind == "attributes" and chance.random() < 0.4:
        return kind, chance.choice(["start_time", "end_time"]), chance.choice(NUMERIC), chance.randrange(1_000, 1_012)
    if kind == "attributes" and chance.random() < 0.3:
        some = tuple(run.run_id for run in chance.sample(runs, 5))
        return kind, "run_id", chance.choice(["IN", "NOT IN"]), some
    keys = {
        "params": ["opt", "lr", "weird key/é", "none"],
        "tags": ["team", "mlflow.user", "mlflow.runName"],
        "attributes": ["run_name", "status", "user_id"],
        "dataset": ["name", "digest", "context"],
    }
    operator = chance.choice(["=", "!=", "LIKE", "ILIKE"])
    if kind in ("params", "tags") and chance.random() < 0.25:
        return kind, chance.choice(keys[kind]), chance.choice(["IS NULL", "IS NOT NULL"]), None
    words = ["calm-otter", "RUNNING", "ada", "training", "train", "d1"]
    value = chance.choice(PATTERNS if operator.endswith("LIKE") else TEXTS + words)
    return kind, chance.choice(keys[kind]), operator, value


def written(clause: Clause) -> str:
    kind, key, operator, value = clause

    def quoted(text: str) -> str:
        return f'"{text}"' if "'" in text else f"'{text}'"

    name = f"{kind}.`{key}`"
    if value is None:
        return f"{name} {operator}"
    if isinstance(value, tuple):
        return f"{name} {operator} ({', '.join(map(quoted, value))})"
    return f"{name} {operator} {quoted(value) if isinstance(value, str) else repr(value)}"


def an_order(chance: random.Random) -> tuple[str, str, bool]:
    kind, key = chance.choice(
        [("metrics", "loss"), ("metrics", "acc"), ("params", "opt"), ("params", "weird key/é"), ("tags", "team"),
         ("attributes", "start_time"), ("attributes", "end_time"), ("attributes", "run_name"), ("attributes", "status")]
    )  # fmt: skip
    return kind, key, chance.random() < 0.5


@pytest.mark.usefixtures("plan")
def test_generated_searches_find_what_the_oracle_finds(store: Store) -> None:
    experiments, runs = populate(store)
    chance = random.Random(3)
    for _ in range(120):
        clauses = [a_clause(chance, runs) for _ in range(chance.choice([0, 1, 1, 2, 3]))]
        orders = list({order[:2]: order for order in (an_order(chance) for _ in range(chance.randrange(3)))}.values())
        text = " AND ".join(map(written, clauses))
        order_by = [f"{kind}.`{key}` {'DESC' if descending else 'ASC'}" for kind, key, descending in orders]
        where = chance.choice([experiments, experiments[:1], experiments[1:]])
        expected = ordered(
            [
                run
                for run in runs
                if not run.deleted and run.experiment_id in where and all(holds(run, clause) for clause in clauses)
            ],
            orders,
        )
        size = chance.choice([1_000, 7, 2])
        assert search(store, where, text, order_by, max_results=size) == expected, (text, order_by, where, size)


@pytest.mark.usefixtures("plan")
def test_paging_by_a_metric_neither_repeats_nor_loses_runs(store: Store) -> None:
    experiments, runs = populate(store)
    for size in (1, 3, 10):
        found = search(store, experiments, "", ["metrics.loss DESC"], max_results=size)
        assert sorted(found) == sorted(run.run_id for run in runs if not run.deleted)


def test_the_last_value_of_a_metric_counts(store: Store) -> None:
    experiments, runs = populate(store, runs=3)
    run = next(run for run in runs if not run.deleted)
    points = [MetricPoint(key="late", value=value, timestamp=1, step=step) for step, value in ((5, 1.0), (9, 2.0), (7, 3.0))]
    store.call(LogBatch(run_id=run.run_id, metrics=points))
    assert search(store, experiments, "metrics.late = 2") == [run.run_id]
    assert search(store, experiments, "metrics.late = 3") == []


@pytest.mark.parametrize(("view", "deleted"), [("ACTIVE_ONLY", (False,)), ("DELETED_ONLY", (True,)), ("ALL", (False, True))])
def test_view_types(store: Store, view: str, deleted: tuple[bool, ...]) -> None:
    experiments, runs = populate(store)
    expected = ordered([run for run in runs if run.deleted in deleted], [])
    assert search(store, experiments, run_view_type=view) == expected
    assert any(run.deleted for run in runs)


def test_experiments_that_are_not_there_hold_no_runs(store: Store) -> None:
    populate(store, runs=2)
    assert search(store, []) == []
    assert search(store, ["999999"]) == []


def test_whole_runs_are_answered(store: Store) -> None:
    experiments, runs = populate(store)
    by_id = {run.run_id: run for run in runs}
    for run in store.call(SearchRuns(experiment_ids=experiments)).runs:
        seen = by_id[run.info.run_id]
        assert (run.data.params, run.data.tags) == (seen.params, seen.tags)
        assert str(run.data.metrics) == str({key: values[-1] for key, values in sorted(seen.metrics.items())})
        assert sorted(item.dataset.name for item in run.inputs.dataset_inputs) == sorted(str(d["name"]) for d in seen.datasets)


# -- paging while runs arrive ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("plan")
@pytest.mark.parametrize(
    "order", ["", "start_time ASC", "metrics.loss DESC", "metrics.acc", "params.opt DESC", "end_time", "tags.team"]
)
@pytest.mark.parametrize("text", ["", "metrics.loss > -3"])
def test_runs_that_come_and_go_shift_no_page(store: Store, order: str, text: str) -> None:
    experiments, _ = populate(store)
    order_by = [order] if order else []
    whole = search(store, experiments, text, order_by)
    paged: list[str] = []
    token, arrived = "", set()
    for number in range(100):
        op = SearchRuns(experiment_ids=experiments, filter=text, order_by=order_by, max_results=4, page_token=token)
        reply = store.call(op)
        paged += [run.info.run_id for run in reply.runs]
        if not (token := reply.next_page_token or ""):
            break
        start = 500 if number % 2 else 5_000  # before all others and after them
        made = store.call(CreateRun(experiment_id=experiments[0], start_time=start)).run.info.run_id
        points = [MetricPoint(key=key, value=start - 2_000.0, timestamp=1) for key in ("loss", "acc")]
        store.call(LogBatch(run_id=made, metrics=points, params=[ParamEntry(key="opt", value="a" if number % 2 else "z")]))
        arrived.add(made)
        store.call(DeleteRun(run_id=paged[-1]))  # the very run that the next page begins after
    assert len(arrived) > 1
    assert [run_id for run_id in paged if run_id not in arrived] == whole
    assert len(set(paged)) == len(paged)


def test_values_too_long_for_a_token_are_paged_by_too(store: Store) -> None:
    texts = [letter * 6_000 for letter in "bdace"]
    for text in texts:
        run = store.call(CreateRun()).run.info.run_id
        store.call(LogBatch(run_id=run, params=[ParamEntry(key="long", value=text)]))
    found, token = "", ""
    while True:
        reply = store.call(SearchRuns(experiment_ids=["0"], order_by=["params.long"], max_results=2, page_token=token))
        found += "".join(run.data.params["long"][0] for run in reply.runs)
        if not (token := reply.next_page_token or ""):
            break
        assert len(token) < 4_096
    assert found == "abcde"


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_a_page_token_belongs_to_its_search(store: Store) -> None:
    experiments, _ = populate(store, runs=8)
    token = store.call(SearchRuns(experiment_ids=experiments, filter="metrics.loss != 9", max_results=2)).next_page_token
    assert token
    again = SearchRuns(experiment_ids=experiments, filter="metrics.loss != 9", max_results=3, page_token=token)
    assert store.call(again).runs
    for other in (
        SearchRuns(experiment_ids=experiments, filter="metrics.loss != 8", page_token=token),
        SearchRuns(experiment_ids=experiments[:1], filter="metrics.loss != 9", page_token=token),
        SearchRuns(experiment_ids=experiments, filter="metrics.loss != 9", order_by=["status"], page_token=token),
    ):
        with pytest.raises(InvalidParameter, match="Invalid page token: it belongs to a search with another"):
            store.call(other)


def test_a_broken_page_token_is_refused(store: Store) -> None:
    for token in ("x", "eyJvZmZzZXQiOjF9", "%%%", "é", "bnVsbA==", "W10="):
        with pytest.raises(InvalidParameter, match="Invalid page token"):
            store.call(SearchRuns(experiment_ids=["0"], page_token=token))


@pytest.mark.parametrize("after", [[], [1], ["x", "y"], [1, 2], [1, "x", 2], [True, "x"], [None, None], 5, "x", [2**63, "x"]])
def test_a_forged_place_harms_nothing(store: Store, after: Any) -> None:
    for _ in range(3):
        store.call(CreateRun())
    op = SearchRuns(experiment_ids=["0"], max_results=1)
    token = store.call(op).next_page_token
    assert token
    search = msgspec.msgpack.decode(base64.urlsafe_b64decode(token))[1]
    forged = base64.urlsafe_b64encode(msgspec.msgpack.encode([0, search, after])).decode()
    try:
        store.call(SearchRuns(experiment_ids=["0"], max_results=1, page_token=forged))
    except InvalidParameter:
        return
    assert after == [None, None]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"filter": "foo = 'x'"}, "Invalid attribute key 'foo'"),
        ({"order_by": ["foo"]}, "Invalid attribute key 'foo'"),
        ({"order_by": ["metrics.a", "metric.a DESC"]}, "`order_by` contains duplicate fields"),
        ({"order_by": ["start_time", "created"]}, "`order_by` contains duplicate fields"),
        ({"max_results": 0}, "max_results"),
        ({"max_results": 50_001}, "max_results"),
    ],
)
def test_what_can_not_be_searched_is_refused(store: Store, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        store.call(SearchRuns(experiment_ids=["0"], **fields))
