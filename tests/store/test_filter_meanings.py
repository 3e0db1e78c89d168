"""What each construct of Runlore's filter language means: hand-written cases over six runs, on every store.

    run  name     status    start (2026)     took   params                 tags                    metrics (step: value)
    a    alpha    FINISHED  01-01 00:00      2 h    lr=0.1   opt=adam      team=red                loss 0:3 10:2 20:1, acc 0:0.5
    b    beta     FAILED    01-02 00:00      30 min lr=0.01  opt=sgd       team=blue best=         loss 0:1 10:NaN
    c    gamma    RUNNING   01-03 12:00      -      lr=1e-1  opt=Adam      (child of a)            loss 5:5
    d    delta    FINISHED  01-04 00:00      1 d    lr=auto  opt=lamb      team=red (child of a)   acc 0:0.9, size 0:3e9
    e    epsilon  KILLED    01-05 00:00      0      -                      a note (child of d)     loss 0:inf
    f    zeta x   FINISHED  01-06 00:00      90 s   -                      -                       -

a, b and c read the dataset "train", f reads "test" for evaluation. e is in another experiment.
"""

from __future__ import annotations

import math

import pytest

from runlore.api.dashboard import QueryRuns
from runlore.api.experiments import CreateExperiment
from runlore.api.runs import (
    CreateRun,
    DeleteRun,
    FindRuns,
    LogBatch,
    LogInputs,
    MetricPoint,
    ParamEntry,
    TagEntry,
    UpdateRun,
)
from runlore.entities import Dataset, DatasetInput, InputTag
from runlore.exceptions import InvalidParameter
from runlore.store.base import Store

DAY, HOUR, MINUTE = 86_400_000, 3_600_000, 60_000
FIRST = 1_767_225_600_000  # 2026-01-01 00:00 UTC
IDS = {letter: letter * 32 for letter in "abcdef"}
NAMES = {"a": "alpha", "b": "beta", "c": "gamma", "d": "delta", "e": "epsilon", "f": "zeta x"}
STATUS = {"a": "FINISHED", "b": "FAILED", "c": "RUNNING", "d": "FINISHED", "e": "KILLED", "f": "FINISHED"}
START = {"a": 0, "b": DAY, "c": 2 * DAY + 12 * HOUR, "d": 3 * DAY, "e": 4 * DAY, "f": 5 * DAY}
TOOK = {"a": 2 * HOUR, "b": 30 * MINUTE, "d": DAY, "e": 0, "f": 90_000}
USERS = {"a": "ada", "b": "bob", "c": "ada", "d": "Ada", "e": "eve", "f": ""}
PARAMS = {
    "a": {"lr": "0.1", "opt": "adam"},
    "b": {"lr": "0.01", "opt": "sgd"},
    "c": {"lr": "1e-1", "opt": "Adam"},
    "d": {"lr": "auto", "opt": "lamb", "big": "2000000000"},
}
TAGS = {
    "a": {"team": "red"},
    "b": {"team": "blue", "best": ""},
    "c": {"mlflow.parentRunId": IDS["a"]},
    "d": {"team": "red", "mlflow.parentRunId": IDS["a"]},
    "e": {"mlflow.note.content": "Diverged\nafter a while", "mlflow.parentRunId": IDS["d"]},
}
METRICS = {
    "a": [("loss", 0, 3.0), ("loss", 10, 2.0), ("loss", 20, 1.0), ("acc", 0, 0.5)],
    "b": [("loss", 0, 1.0), ("loss", 10, math.nan)],
    "c": [("loss", 5, 5.0)],
    "d": [("acc", 0, 0.9), ("size", 0, 3e9)],
    "e": [("loss", 0, math.inf)],
}
DATASETS = {
    "a": ("train", "d1", None),
    "b": ("train", "d2", None),
    "c": ("train", "d1", "training"),
    "f": ("test", "d3", "eval"),
}

CASES: list[tuple[str, str]] = [
    # metrics: the last value, NaN is in no order, infinity is
    ("metrics.loss = 1", "a"),
    ("metrics.loss > 1", "ce"),
    ("metrics.loss >= 1", "ace"),
    ("metrics.loss < 1", ""),
    ("metrics.loss <= 5", "ac"),
    ("metrics.loss < 1e308", "ac"),
    ("metric.loss > 1", "ce"),
    ("metrics.`loss` > 1", "ce"),
    ('metrics."loss" > 1', "ce"),
    ("metrics.loss != 1", "bcdef"),
    ("metrics.loss != 1 AND metrics.loss IS NOT NULL", "bce"),
    ("metrics.loss IN (1, 5)", "ac"),
    ("metrics.loss NOT IN (1, 5)", "bdef"),
    ("metrics.loss IN (7)", ""),
    ("metrics.loss IS NULL", "df"),
    ("metrics.loss IS NOT NULL", "abce"),
    ("metrics.none IS NULL", "abcdef"),
    ("metrics.loss BETWEEN 1 AND 5", "ac"),
    ("metrics.loss between 1.5 and 5", "c"),
    ("metrics.loss BETWEEN 5 AND 1", ""),
    ("metrics.loss NOT BETWEEN 1 AND 5", "bdef"),
    ("NOT metrics.loss BETWEEN 1 AND 5", "bdef"),
    ("metrics.loss BETWEEN 1 AND 5 AND metrics.acc > 0", "a"),
    ("metrics.loss BETWEEN 1 AND 5 OR metrics.acc > 0.8", "acd"),
    ("NOT metrics.loss > 1", "abdf"),
    # aggregates: all points count, min, max and mean look at finite ones
    ("metrics.loss@last = 1", "a"),
    ("metrics.loss@first = 3", "a"),
    ("metrics.loss@first = 1", "b"),
    ("metrics.loss@min = 1", "ab"),
    ("metrics.loss@max = 3", "a"),
    ("metrics.loss@max >= 3", "ac"),
    ("metrics.loss@mean = 2", "a"),
    ("metrics.loss@mean BETWEEN 1 AND 2", "ab"),
    ("metrics.loss@count = 2", "b"),
    ("metrics.loss@count > 1", "ab"),
    ("metrics.loss@count IN (1, 3)", "ace"),
    ("metrics.loss@min IS NULL", "df"),
    ("metrics.`loss`@min < 2", "ab"),
    ("metrics.loss@min < metrics.loss@max OR metrics.loss > 0", "!"),
    # at a step: the last point up to it, of runs that got as far
    ("metrics.loss@step(0) = 3", "a"),
    ("metrics.loss@step(0) >= 1", "abe"),
    ("metrics.loss@step(5) = 3", "a"),
    ("metrics.loss@step(5) = 5", "c"),
    ("metrics.loss@step(5) > 0", "abc"),
    ("metrics.loss@step(10) = 2", "a"),
    ("metrics.loss@step(10) > 0", "a"),
    ("metrics.loss@step(19) = 2", "a"),
    ("metrics.loss@step(20) = 1", "a"),
    ("metrics.loss@step(21) = 1", ""),
    ("metrics.loss@step(-1) = 3", ""),
    ("metrics.loss@step(10) IS NOT NULL", "ab"),
    ("metrics.loss@step(10) IS NULL", "cdef"),
    ("metrics.loss@step(10) != 2", "bcdef"),
    ("metrics.loss@step(0) IN (3, 1)", "ab"),
    ("metrics.loss@step(0) NOT IN (3, 1)", "cdef"),
    ("metrics.loss@step(0) BETWEEN 2 AND 4", "a"),
    ("NOT metrics.loss@step(0) > 1", "bcdf"),
    ("metrics.loss@step(0) > 1 AND status = 'KILLED'", "e"),
    ("metrics.loss@step(0) > 1 OR status = 'RUNNING'", "ace"),
    # sizes
    ("metrics.size > 2GB", "d"),
    ("metrics.size > 3GB", ""),
    ("metrics.size = 3GB", "d"),
    ("metrics.size < 3GiB", "d"),
    ("metrics.size >= 3000000kB", "d"),
    ("params.big = 2GB", "d"),
    ("params.big < 2GiB", "d"),
    ("metrics.size BETWEEN 1GB AND 4gb", "d"),
    # params: numbers where both sides are
    ("params.lr = '0.1'", "ac"),
    ("params.lr = 0.1", "ac"),
    ("params.lr = '0.10'", "ac"),
    ("params.lr = '1e-1'", "ac"),
    ("params.lr != 0.1", "bdef"),
    ("params.lr > 0.01", "ac"),
    ("params.lr >= '0.01'", "abc"),
    ("params.lr < 0.1", "b"),
    ("params.lr BETWEEN 0.01 AND 0.05", "b"),
    ("params.lr NOT BETWEEN 0.01 AND 0.05", "acdef"),
    ("params.lr IN (0.1, '0.01')", "abc"),
    ("params.lr IN ('auto', '0.1')", "ad"),
    ("params.lr NOT IN (0.1)", "bdef"),
    ("params.lr = 'auto'", "d"),
    ("params.lr > 'a'", "d"),
    ("params.lr LIKE '%1'", "abc"),
    ("params.lr IS NULL", "ef"),
    ("params.lr IS NOT NULL", "abcd"),
    ("params.opt = 'adam'", "a"),
    ("params.opt ILIKE 'adam'", "ac"),
    ("params.opt LIKE 'a%'", "a"),
    ("params.opt LIKE '_dam'", "ac"),
    ("params.opt BETWEEN 'a' AND 'm'", "ad"),
    ("params.opt < 'b'", "ac"),
    ("parameters.opt = 'sgd'", "b"),
    # regular expressions
    ("params.opt ~ 'dam'", "ac"),
    ("params.opt ~ '^a'", "a"),
    ("params.opt ~ '(?i)^a'", "ac"),
    ("params.opt ~ 'adam|lamb'", "ad"),
    ("params.opt ~ '^...$'", "b"),
    ("params.opt ~ ''", "abcd"),
    ("params.opt !~ 'dam'", "bdef"),
    ("params.opt !~ 'dam' AND HAS params.opt", "bd"),
    ("NOT params.opt ~ 'dam'", "bdef"),
    ("tags.team ~ 'e$'", "b"),
    ("tags.best ~ '^$'", "b"),
    ("name ~ 'a$'", "abcd"),
    ("name ~ '\\s'", "f"),
    ("name !~ 'a'", "e"),
    ("user_id ~ '^[Aa]da$'", "acd"),
    ("status ~ 'I'", "abcdef"),
    ("status ~ '^K' OR params.opt ~ 'sgd'", "be"),
    ("status ~ 'FINISHED' AND name ~ 'l'", "ad"),
    ("(name ~ 'e' OR name ~ 'g') AND tags.team IS NULL", "cef"),
    ("notes ~ 'after'", "e"),
    ("notes ~ '^after'", ""),
    ("notes ~ '(?m)^after'", "e"),
    ("datasets.name ~ '^t'", "abcf"),
    ("datasets.name !~ 'train'", "def"),
    ("datasets.context ~ 'i'", "c"),
    # tags
    ("tags.team = 'red'", "ad"),
    ("tag.team = 'red'", "ad"),
    ("tags.team != 'red'", "bcef"),
    ("tags.team IN ('red', 'blue')", "abd"),
    ("tags.team NOT IN ('red')", "bcef"),
    ("tags.team IS NULL", "cef"),
    ("tags.team > 'c'", "ad"),
    ("tags.team BETWEEN 'a' AND 'c'", "b"),
    ("tags.best = ''", "b"),
    ("tags.mlflow.runName = 'alpha'", "a"),
    ("notes LIKE '%Diverged%'", "e"),
    ("notes IS NULL", "abcdf"),
    ("note ILIKE 'diverged%'", "e"),
    # has
    ("HAS tags.best", "b"),
    ("has tag best", "b"),
    ("HAS tag 'team'", "abd"),
    ("HAS tag `team`", "abd"),
    ("NOT HAS tag team", "cef"),
    ("HAS metrics.acc", "ad"),
    ("HAS metric acc", "ad"),
    ("HAS metrics.loss@step(20)", "a"),
    ("HAS param lr AND NOT HAS metric loss", "d"),
    ("HAS params.lr OR HAS notes", "abcde"),
    ("HAS end_time", "abdef"),
    ("HAS datasets.name", "abcf"),
    # attributes
    ("status = 'FINISHED'", "adf"),
    ("attributes.status = 'FINISHED'", "adf"),
    ("status != 'FINISHED'", "bce"),
    ("status IN ('FAILED', 'KILLED')", "be"),
    ("status NOT IN ('FAILED', 'KILLED')", "acdf"),
    ("status LIKE 'F%'", "abdf"),
    ("name = 'alpha'", "a"),
    ("run_name = 'alpha'", "a"),
    ("attributes.`run name` = 'alpha'", "a"),
    ("name LIKE '%a'", "abcd"),
    ("name BETWEEN 'a' AND 'c'", "ab"),
    ("user = 'ada'", "ac"),
    ("user_id ILIKE 'ADA'", "acd"),
    ("user_id IS NULL", ""),
    (f"run_id = '{'a' * 32}'", "a"),
    (f"run_id IN ('{'a' * 32}', '{'e' * 32}')", "ae"),
    ("run_id LIKE 'c%'", "c"),
    ("lifecycle_stage = 'active'", "abcdef"),
    ("end_time IS NULL", "c"),
    # times
    ("start_time > 2026-01-02", "cdef"),
    ("start_time >= 2026-01-02", "bcdef"),
    ("start_time < 2026-01-02", "a"),
    ("start_time <= 2026-01-02", "ab"),
    ("start_time = 2026-01-03", "c"),
    ("start_time = '2026-01-03'", "c"),
    ("start_time != 2026-01-03", "abdef"),
    ("start_time BETWEEN 2026-01-02 AND 2026-01-03", "bc"),
    ("start_time NOT BETWEEN 2026-01-02 AND 2026-01-03", "adef"),
    ("start_time > 2026-01-03T12:00", "def"),
    ("start_time >= 2026-01-03T12:00:00Z", "cdef"),
    ("start_time >= 2026-01-03T13:00+01:00", "cdef"),
    ("start_time >= '2026-01-03 12:00:00.001'", "def"),
    (f"start_time = {FIRST}", "a"),
    (f"created > {FIRST}", "bcdef"),
    (f"start_time IN ({FIRST}, {FIRST + DAY})", "ab"),
    ("start_time > -7d", ""),
    ("start_time > '-7d'", ""),
    ("start_time < now", "abcdef"),
    ("start_time < +1h", "abcdef"),
    ("start_time > -5000w", "abcdef"),
    ("end_time = 2026-01-01", "a"),
    ("end_time != 2026-01-01", "bcdef"),
    ("end_time < 2026-01-03", "ab"),
    ("last_activity > -1h", "abcdef"),
    ("last_activity > -1h30m AND status = 'RUNNING'", "c"),
    # spans
    ("duration > 2h", "d"),
    ("duration >= 2h", "ad"),
    ("duration = 120m", "a"),
    ("duration = '120m'", "a"),
    ("duration = 1h60m", "a"),
    ("duration < 90s", "e"),
    ("duration <= 1.5m", "ef"),
    ("duration BETWEEN 1min AND 1h", "bf"),
    ("duration >= 1d", "d"),
    ("duration < 1w", "abdef"),
    ("duration IS NULL", "c"),
    ("duration != 2h", "bcdef"),
    ("duration IN (2h, 90s)", "af"),
    ("duration = 0", "e"),
    ("duration < 100ms", "e"),
    ("duration > 7200000", "d"),
    # datasets
    ("datasets.name = 'train'", "abc"),
    ("datasets.name != 'train'", "def"),
    ("dataset.digest = 'd1'", "ac"),
    ("datasets.digest IN ('d2', 'd3')", "bf"),
    ("datasets.context = 'training'", "c"),
    ("datasets.context IS NULL", "abde"),
    ("datasets.name IS NULL", "de"),
    ("datasets.name LIKE 't%'", "abcf"),
    # kinship
    (f"child of '{IDS['a']}'", "cd"),
    (f"CHILD OF '{IDS['d'].upper()}'", "e"),
    (f"child of '{IDS['f']}'", ""),
    (f"NOT child of '{IDS['a']}'", "abef"),
    (f"child of '{IDS['a']}' AND status = 'RUNNING'", "c"),
    ("has child (status = 'RUNNING')", "a"),
    ("HAS CHILD (metrics.acc > 0.8)", "a"),
    ("has child (metrics.loss > 4)", "ad"),
    ("has child (metrics.loss > 4 AND status = 'RUNNING')", "a"),
    ("has child (status = 'KILLED' OR status = 'RUNNING')", "ad"),
    ("NOT has child (status = 'RUNNING')", "bcdef"),
    ("has child (has child (status = 'KILLED'))", "a"),
    ("has child (params.opt ~ '^l')", "a"),
    ("has child (metrics.loss@step(5) = 5)", "a"),
    ("has child (HAS metrics.loss) AND HAS metrics.loss", "a"),
    ("parent matches (status = 'FINISHED')", "cde"),
    ("parent matches (HAS metrics.loss)", "cd"),
    ("parent matches (metrics.acc = 0.9)", "e"),
    ("parent matches (parent matches (name = 'alpha'))", "e"),
    ("parent matches (has child (status = 'RUNNING'))", "cd"),
    ("parent matches (name ~ '^del')", "e"),
    ("NOT parent matches (status = 'FINISHED')", "abf"),
    ("parent matches (status = 'FAILED')", ""),
    ("parent matches (name = 'alpha') AND params.opt = 'lamb'", "d"),
    ("has child (metrics.none != 1)", "ad"),
    # logic
    ("", "abcdef"),
    ("status = 'FAILED' OR status = 'KILLED'", "be"),
    ("status = 'FAILED' OR status = 'KILLED' AND name = 'x'", "b"),
    ("(status = 'FAILED' OR status = 'KILLED') AND name = 'x'", ""),
    ("NOT (status = 'FINISHED' OR HAS metrics.loss)", ""),
    ("NOT (status = 'FINISHED' AND HAS metrics.loss)", "bcdef"),
    ("NOT NOT status = 'FAILED'", "b"),
    ("NOT status = 'FINISHED' AND NOT HAS params.lr", "e"),
    ("((metrics.loss > 1))", "ce"),
    ("metrics.loss@min < 2 AND (tags.team = 'red' OR tags.team = 'blue') AND NOT params.opt = 'sgd'", "a"),
]  # fmt: skip


@pytest.fixture
def filled(store: Store) -> Store:
    """The six runs, and a deleted seventh that is like the first and a child of b and parent of f in vain."""
    experiments = [store.call(CreateExperiment(name=name)).experiment_id for name in ("one", "two")]
    for letter, run_id in [*IDS.items(), ("g", "9" * 32)]:
        like = "a" if letter == "g" else letter
        start = FIRST + START[like]
        create = CreateRun(
            experiment_id=experiments[letter == "e"],
            run_name=NAMES[like],
            start_time=start,
            user_id=USERS[like],
            client_run_id=run_id,
        )
        store.call(create)
        tags = TAGS.get(like, {}) | ({"mlflow.parentRunId": IDS["b"]} if letter == "g" else {})
        points = [MetricPoint(key=key, value=value, step=step, timestamp=step) for key, step, value in METRICS.get(like, [])]
        params = [ParamEntry(key=key, value=value) for key, value in PARAMS.get(like, {}).items()]
        batch = LogBatch(run_id=run_id, metrics=points, params=params, tags=[TagEntry(key=k, value=v) for k, v in tags.items()])
        store.call(batch)
        end = start + TOOK[like] if like in TOOK else None
        store.call(UpdateRun(run_id=run_id, status=STATUS[like], end_time=end))  # type: ignore[arg-type]
        if like in DATASETS:
            name, digest, context = DATASETS[like]
            marks = [InputTag(key="mlflow.data.context", value=context)] if context else []
            dataset = Dataset(name=name, digest=digest, source_type="local", source="x")
            store.call(LogInputs(run_id=run_id, datasets=[DatasetInput(dataset=dataset, tags=marks)]))
    store.call(DeleteRun(run_id="9" * 32))
    return store


def test_filters_mean_what_they_say(filled: Store) -> None:
    wrong = []
    for text, expected in CASES:
        if expected == "!":
            with pytest.raises(InvalidParameter):
                filled.call(FindRuns(filter=text))
            continue
        table = filled.call(QueryRuns(filter=text))
        found = filled.call(FindRuns(filter=text))
        letters = "".join(sorted(run_id[0] for run_id in table.run_ids))
        assert sorted(table.run_ids) == sorted(run.info.run_id for run in found.runs), text
        assert table.total == len(letters), text
        if letters != expected:
            wrong.append((text, expected, letters))
    assert wrong == []


def test_a_filter_looks_into_the_given_experiments(filled: Store) -> None:
    for experiments, expected in ((["1"], "abcdf"), (["2"], "e"), (["1", "2"], "abcdef"), ([], "abcdef"), (["0"], "")):
        for text in ("", "name ~ '.'", "metrics.none IS NULL"):
            found = filled.call(FindRuns(experiment_ids=experiments, filter=text)).runs
            assert "".join(sorted(run.info.run_id[0] for run in found)) == expected, (experiments, text)


@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        ([], "fedcba"),
        (["metrics.loss"], "acebfd"),
        (["metrics.loss DESC"], "ecabfd"),
        (["metrics.loss@min", "name DESC"], "baceFd".lower()),
        (["params.lr"], "bcadfe"),
        (["params.lr DESC"], "cabdfe"),
        (["duration DESC"], "dabfec"),
        (["tags.team", "start_time ASC"], "badcef"),
    ],
)
def test_orders_of_the_wider_grammar(filled: Store, order_by: list[str], expected: str) -> None:
    found = filled.call(FindRuns(order_by=order_by)).runs
    assert "".join(run.info.run_id[0] for run in found) == expected
    paged, token = "", ""
    while True:
        reply = filled.call(FindRuns(order_by=order_by, max_results=1, page_token=token))
        paged += "".join(run.info.run_id[0] for run in reply.runs)
        if not (token := reply.next_page_token or ""):
            break
    assert paged == expected


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("metrics.los > 1", "No run has metrics.los. Did you mean metrics.loss?"),
        ("params.optt ~ 'a'", "No run has params.optt. Did you mean params.opt?"),
        ("status = 'FAILED' AND NOT (tags.tema != 'x')", "No run has tags.tema. Did you mean tags.team?"),
        ("has child (metrics.accc > 0)", "No run has metrics.accc. Did you mean metrics.acc?"),
        ("metrics.qqqqqqqq > 1", "No run has metrics.qqqqqqqq."),
        ("metrics.loss > 1e300 AND status = 'FAILED'", None),
    ],
)
def test_a_key_that_no_run_has_is_named(filled: Store, text: str, hint: str | None) -> None:
    assert filled.call(QueryRuns(filter=text)).hint == hint
    assert filled.call(FindRuns(filter=text)).hint == hint
