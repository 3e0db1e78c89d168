"""MLflow's filter and order texts: what each means, what is refused and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from runlore.exceptions import InvalidParameter
from runlore.query import (
    EXPERIMENTS,
    LOGGED_MODELS,
    MODEL_VERSIONS,
    REGISTERED_MODELS,
    RUNS,
    And,
    Comparison,
    Field,
    Order,
    Subject,
    parse_filter,
    parse_order,
)

Clause = tuple[str, str, str, Any]


def tree(*clauses: Clause) -> object:
    parts = tuple(Comparison(Field(kind, key), operator, value) for kind, key, operator, value in clauses)  # type: ignore[arg-type]
    return parts[0] if len(parts) == 1 else And(parts)


RUN_FILTERS: list[tuple[str, list[Clause]]] = [
    # metrics
    ("metrics.a > 1", [("metric", "a", ">", 1.0)]),
    ("metric.a > 1", [("metric", "a", ">", 1.0)]),
    ("metrics.a>1", [("metric", "a", ">", 1.0)]),
    ("metrics.a >= 0.5", [("metric", "a", ">=", 0.5)]),
    ("metrics.a < -2", [("metric", "a", "<", -2.0)]),
    ("metrics.a <= .5", [("metric", "a", "<=", 0.5)]),
    ("metrics.a = 5.", [("metric", "a", "=", 5.0)]),
    ("metrics.a != 1e5", [("metric", "a", "!=", 1e5)]),
    ("metrics.a = -1.5e-3", [("metric", "a", "=", -0.0015)]),
    ("metrics.a = 1E+2", [("metric", "a", "=", 100.0)]),
    ("metrics.`a b` = 1", [("metric", "a b", "=", 1.0)]),
    ('metrics."a b" = 1', [("metric", "a b", "=", 1.0)]),
    ("metrics.'a' > 1", [("metric", "a", ">", 1.0)]),
    ("`metrics`.a > 1", [("metric", "a", ">", 1.0)]),
    ("`metrics`.`a` > 1", [("metric", "a", ">", 1.0)]),
    ("metrics.val/loss < 1", [("metric", "val/loss", "<", 1.0)]),
    ("metrics.val-loss < 1", [("metric", "val-loss", "<", 1.0)]),
    ("metrics.a.b.c < 1", [("metric", "a.b.c", "<", 1.0)]),
    ("metrics.`a.b` < 1", [("metric", "a.b", "<", 1.0)]),
    ("metrics.1 > 2", [("metric", "1", ">", 2.0)]),
    ("metrics.précision > 0.9", [("metric", "précision", ">", 0.9)]),
    ("metrics.损失 > 0.9", [("metric", "损失", ">", 0.9)]),
    ("metrics.`and` > 1", [("metric", "and", ">", 1.0)]),
    ("metrics.or > 1", [("metric", "or", ">", 1.0)]),
    ("metrics.a > 9999999999999999999999", [("metric", "a", ">", 1e22)]),
    # params and tags
    ("params.a = 'x'", [("param", "a", "=", "x")]),
    ("param.a = 'x'", [("param", "a", "=", "x")]),
    ("parameter.a = 'x'", [("param", "a", "=", "x")]),
    ("parameters.a = 'x'", [("param", "a", "=", "x")]),
    ('params.a = "x"', [("param", "a", "=", "x")]),
    ("params.a = ''", [("param", "a", "=", "")]),
    ("params.a = '0.01'", [("param", "a", "=", "0.01")]),
    ('params.a = "it\'s"', [("param", "a", "=", "it's")]),
    ("params.a = 'say \"hi\"'", [("param", "a", "=", 'say "hi"')]),
    ("params.a = 'it''s'", [("param", "a", "=", "it''s")]),
    (r"params.a = 'it\'s'", [("param", "a", "=", r"it\'s")]),
    (r"params.a = 'a\nb'", [("param", "a", "=", r"a\nb")]),
    ("params.a = 'x AND y'", [("param", "a", "=", "x AND y")]),
    ("params.a = '(x)'", [("param", "a", "=", "(x)")]),
    ("params.a != 'x'", [("param", "a", "!=", "x")]),
    ("params.a LIKE 'x%'", [("param", "a", "LIKE", "x%")]),
    ("params.a like 'x%'", [("param", "a", "LIKE", "x%")]),
    ("params.a ILIKE '%X_'", [("param", "a", "ILIKE", "%X_")]),
    ("params.a iLike '%X_'", [("param", "a", "ILIKE", "%X_")]),
    ("params.a IS NULL", [("param", "a", "IS NULL", None)]),
    ("params.a is not null", [("param", "a", "IS NOT NULL", None)]),
    ("params.order = 'x'", [("param", "order", "=", "x")]),
    ("params.123abc = 'x'", [("param", "123abc", "=", "x")]),
    ("tags.a = 'x'", [("tag", "a", "=", "x")]),
    ("tag.a = 'x'", [("tag", "a", "=", "x")]),
    ("tags.mlflow.user = 'x'", [("tag", "mlflow.user", "=", "x")]),
    ("tags.`mlflow.user` = 'x'", [("tag", "mlflow.user", "=", "x")]),
    ("tags.a IS NULL", [("tag", "a", "IS NULL", None)]),
    ("tags.a IS  NOT\tNULL", [("tag", "a", "IS NOT NULL", None)]),
    ("tags.a = '日本'", [("tag", "a", "=", "日本")]),
    # attributes
    ("status = 'RUNNING'", [("attribute", "status", "=", "RUNNING")]),
    ("attribute.status = 'RUNNING'", [("attribute", "status", "=", "RUNNING")]),
    ("attributes.status = 'RUNNING'", [("attribute", "status", "=", "RUNNING")]),
    ("attr.status = 'RUNNING'", [("attribute", "status", "=", "RUNNING")]),
    ("run.status = 'RUNNING'", [("attribute", "status", "=", "RUNNING")]),
    ("attributes.`status` = 'RUNNING'", [("attribute", "status", "=", "RUNNING")]),
    ("user_id = 'ada'", [("attribute", "user_id", "=", "ada")]),
    ("artifact_uri LIKE 's3:%'", [("attribute", "artifact_uri", "LIKE", "s3:%")]),
    ("start_time > 5", [("attribute", "start_time", ">", 5)]),
    ("start_time > 5.5", [("attribute", "start_time", ">", 5.5)]),
    ("end_time <= 1700000000000", [("attribute", "end_time", "<=", 1_700_000_000_000)]),
    ("created != 5", [("attribute", "start_time", "!=", 5)]),
    ("attr.Created > 5", [("attribute", "start_time", ">", 5)]),
    ("run_name = 'x'", [("attribute", "run_name", "=", "x")]),
    ("attributes.`run name` = 'x'", [("attribute", "run_name", "=", "x")]),
    ('attributes."Run name" = \'x\'', [("attribute", "run_name", "=", "x")]),
    ("`Run Name` = 'x'", [("attribute", "run_name", "=", "x")]),
    ("run_id = 'abc'", [("attribute", "run_id", "=", "abc")]),
    ("run_id IN ('a', 'b')", [("attribute", "run_id", "IN", ("a", "b"))]),
    ("run_id in ('a')", [("attribute", "run_id", "IN", ("a",))]),
    ("run_id IN ('a',)", [("attribute", "run_id", "IN", ("a",))]),
    ('attribute.run_id NOT IN ("a","b")', [("attribute", "run_id", "NOT IN", ("a", "b"))]),
    (r"run_id IN ('a\'b')", [("attribute", "run_id", "IN", ("a'b",))]),
    # datasets
    ("dataset.name = 'x'", [("dataset", "name", "=", "x")]),
    ("datasets.digest ILIKE 'x%'", [("dataset", "digest", "ILIKE", "x%")]),
    ("dataset.context != 'train'", [("dataset", "context", "!=", "train")]),
    ("dataset.name IN ('a', 'b')", [("dataset", "name", "IN", ("a", "b"))]),
    ("dataset.digest NOT IN ('a')", [("dataset", "digest", "NOT IN", ("a",))]),
    # several
    ("metrics.a > 1 AND params.b = 'x'", [("metric", "a", ">", 1.0), ("param", "b", "=", "x")]),
    ("metrics.a > 1 and\nmetrics.b < 2", [("metric", "a", ">", 1.0), ("metric", "b", "<", 2.0)]),
    ("params.a='x'AND params.b='y'", [("param", "a", "=", "x"), ("param", "b", "=", "y")]),
    ("params.a IS NULL AND tags.b='1' AND status != 'FAILED'",
     [("param", "a", "IS NULL", None), ("tag", "b", "=", "1"), ("attribute", "status", "!=", "FAILED")]),
    ("  metrics.a > 1  ", [("metric", "a", ">", 1.0)]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "clauses"), RUN_FILTERS, ids=[text for text, _ in RUN_FILTERS])
def test_a_filter_on_runs_means(text: str, clauses: list[Clause]) -> None:
    assert parse_filter(text, RUNS) == tree(*clauses)


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
@pytest.mark.parametrize("subject", [RUNS, EXPERIMENTS, REGISTERED_MODELS, MODEL_VERSIONS, LOGGED_MODELS])
def test_an_empty_filter_is_true_of_everything(text: str, subject: Subject) -> None:
    assert parse_filter(text, subject) == And(())


OTHER_FILTERS: list[tuple[Subject, str, list[Clause]]] = [
    (EXPERIMENTS, "name = 'x'", [("attribute", "name", "=", "x")]),
    (EXPERIMENTS, "attribute.name ILIKE 'x%'", [("attribute", "name", "ILIKE", "x%")]),
    (EXPERIMENTS, "creation_time > 5", [("attribute", "creation_time", ">", 5)]),
    (EXPERIMENTS, "last_update_time <= 5", [("attribute", "last_update_time", "<=", 5)]),
    (EXPERIMENTS, "experiment_id = '3'", [("attribute", "experiment_id", "=", 3)]),
    (EXPERIMENTS, "experiment_id IN ('3', '04')", [("attribute", "experiment_id", "IN", (3, 4))]),
    (EXPERIMENTS, "tags.team = 'a'", [("tag", "team", "=", "a")]),
    (EXPERIMENTS, "tag.`mlflow.note.content` LIKE '%x%'", [("tag", "mlflow.note.content", "LIKE", "%x%")]),
    (EXPERIMENTS, "tags.team IS NULL", [("tag", "team", "IS NULL", None)]),
    (REGISTERED_MODELS, "name LIKE 'x%'", [("attribute", "name", "LIKE", "x%")]),
    (REGISTERED_MODELS, "name IN ('a', 'b')", [("attribute", "name", "IN", ("a", "b"))]),
    (REGISTERED_MODELS, "tag.`mlflow.prompt.is_prompt` != 'true'", [("tag", "mlflow.prompt.is_prompt", "!=", "true")]),
    (MODEL_VERSIONS, "name = 'm'", [("attribute", "name", "=", "m")]),
    (MODEL_VERSIONS, "run_id IN ('a')", [("attribute", "run_id", "IN", ("a",))]),
    (MODEL_VERSIONS, "run_id NOT IN ('a')", [("attribute", "run_id", "NOT IN", ("a",))]),
    (MODEL_VERSIONS, "source_path = 'runs:/x/m'", [("attribute", "source_path", "=", "runs:/x/m")]),
    (MODEL_VERSIONS, "version_number >= 2", [("attribute", "version_number", ">=", 2)]),
    (MODEL_VERSIONS, "version_number = '2'", [("attribute", "version_number", "=", 2)]),
    (MODEL_VERSIONS, "tags.a = 'x' AND name != 'm'", [("tag", "a", "=", "x"), ("attribute", "name", "!=", "m")]),
    (LOGGED_MODELS, "name = 'model'", [("attribute", "name", "=", "model")]),
    (LOGGED_MODELS, "attributes.status = 'READY'", [("attribute", "status", "=", "READY")]),
    (LOGGED_MODELS, "creation_time > 5", [("attribute", "creation_timestamp", ">", 5)]),
    (LOGGED_MODELS, "last_updated_timestamp_ms > 5", [("attribute", "last_updated_timestamp", ">", 5)]),
    (LOGGED_MODELS, "source_run_id IN ('a', 'b')", [("attribute", "source_run_id", "IN", ("a", "b"))]),
    (LOGGED_MODELS, "metrics.acc > 0.9", [("metric", "acc", ">", 0.9)]),
    (LOGGED_MODELS, "params.lr IN ('1', '2')", [("param", "lr", "IN", ("1", "2"))]),
    (LOGGED_MODELS, "tags.a NOT IN ('1')", [("tag", "a", "NOT IN", ("1",))]),
]


@pytest.mark.parametrize(("subject", "text", "clauses"), OTHER_FILTERS, ids=[f"{s.noun}: {t}" for s, t, _ in OTHER_FILTERS])
def test_a_filter_on_other_objects_means(subject: Subject, text: str, clauses: list[Clause]) -> None:
    assert parse_filter(text, subject) == tree(*clauses)


# Refused filters, the beginning of the message, and what is underlined.
REFUSED: list[tuple[Subject, str, str, str]] = [
    (RUNS, "m.acc >= 0.94", "Invalid entity type 'm'", "m.acc"),
    (RUNS, "METRICS.a > 1", "Invalid entity type 'METRICS'", "METRICS.a"),
    (RUNS, "metrcs.a > 1", "Invalid entity type 'metrcs'. Valid values are", "metrcs.a"),
    (RUNS, "`metrics.a` > 1", "Invalid entity type '`metrics.a`'", "`metrics.a`"),
    (RUNS, "acc >= 0.94", "Invalid attribute key 'acc' specified", "acc"),
    (RUNS, "attribute.foo != 1", "Invalid attribute key 'foo' specified", "attribute.foo"),
    (RUNS, "staus = 'RUNNING'", "Invalid attribute key 'staus' specified. Did you mean 'status'", "staus"),
    (RUNS, "experiment_id = '1'", "Invalid attribute key 'experiment_id' specified", "experiment_id"),
    (RUNS, "dataset.size = 'x'", "Invalid dataset key 'size' specified", "dataset.size"),
    (RUNS, "metrics.a > 1 OR params.b = 'x'", "Invalid clause(s) in filter string: 'OR'", "OR"),
    (RUNS, "metrics.a > 1 NAND params.b = 'x'", "Invalid clause(s) in filter string: 'NAND'", "NAND"),
    (RUNS, "metrics.a > 1 AND (params.b = 'x')", "Invalid clause(s) in filter string: '('", "("),
    (RUNS, "NOT metrics.a > 1", "Invalid clause(s) in filter string: 'NOT'", "NOT"),
    (RUNS, "`metrics.a > 1", "Invalid clause(s) in filter string: a quote", "`metrics.a > 1"),
    (RUNS, "param`.a > 1", "Invalid clause(s) in filter string: a quote", "`.a > 1"),
    (RUNS, "params.'acc = LR", "Invalid clause(s) in filter string: a quote", "'acc = LR"),
    (RUNS, "params.acc = 'LR", "Invalid clause(s) in filter string: a quote", "'LR"),
    (RUNS, "params.acc = LR'", "Invalid clause(s) in filter string: a quote", "'"),
    (RUNS, "params.acc = \"LR'", "Invalid clause(s) in filter string: a quote", "\"LR'"),
    (RUNS, "tags.acc = = 'LR'", "Invalid clause(s) in filter string: '='", "="),
    (RUNS, "attribute.status IS 'RUNNING'", "Invalid clause(s) in filter string: 'IS'", "IS"),
    (RUNS, "params.acc LR !=", "Invalid clause(s) in filter string: 'LR'", "LR"),
    (RUNS, "params.acc LR", "Invalid clause(s) in filter string: 'LR'", "LR"),
    (RUNS, "params.acc NOT LIKE 'x'", "Invalid clause(s) in filter string: 'NOT'", "NOT"),
    (RUNS, "metric.acc !=", "Invalid clause(s) in filter string: the end", ""),
    (RUNS, "metrics.a > 1 AND", "Invalid clause(s) in filter string: the end", ""),
    (RUNS, "AND metrics.a > 1", "Invalid clause(s) in filter string: 'AND'", "AND"),
    (RUNS, "metrics.a > 1 metrics.b > 2", "Invalid clause(s) in filter string: 'metrics.b'", "metrics.b"),
    (RUNS, "metrics.a > 1;", "Invalid clause(s) in filter string: ';'", ";"),
    (RUNS, "metrics.a > 1 -- x", "Invalid clause(s) in filter string: '-'", "-"),
    (RUNS, "metrics. > 1", "Invalid clause(s) in filter string: '>'", ">"),
    (RUNS, "metrics.a . b > 1", "Invalid clause(s) in filter string: '.'", "."),
    (RUNS, "params.a = 'x' 'y'", "Invalid clause(s) in filter string: ''y''", "'y'"),
    (RUNS, "metrics.a@min > 1", "Invalid clause(s) in filter string: '@'", "@"),
    (RUNS, "1.0 > metrics.acc", "Invalid comparison clause. Expected 'Identifier' found '1.0'", "1.0"),
    (RUNS, "'a' = params.x", "Invalid comparison clause. Expected 'Identifier' found", "'a'"),
    (RUNS, "metrics.a ~ 1", "Invalid comparator '~' not one of", "~"),
    (RUNS, "metrics.a == 1", "Invalid comparator '==' not one of", "=="),
    (RUNS, "metrics.a <> 1", "Invalid comparator '<>' not one of", "<>"),
    (RUNS, "metrics.a LIKE '1'", "Invalid comparator 'LIKE' not one of", "LIKE"),
    (RUNS, "params.a > 'x'", "Invalid comparator '>' not one of", ">"),
    (RUNS, "tags.a <= 'x'", "Invalid comparator '<=' not one of", "<="),
    (RUNS, "status > 'x'", "Invalid comparator '>' not one of", ">"),
    (RUNS, "start_time LIKE '1'", "Invalid comparator 'LIKE' not one of", "LIKE"),
    (RUNS, "status IN ('a')", "Invalid comparator 'IN' not one of", "IN"),
    (RUNS, "params.a NOT IN ('a')", "Invalid comparator 'NOT IN' not one of", "NOT IN"),
    (RUNS, "metrics.a IS NULL", "IS NULL / IS NOT NULL is only supported for tags and params", "IS NULL"),
    (RUNS, "status IS NOT NULL", "IS NULL / IS NOT NULL is only supported for tags and params", "IS NOT NULL"),
    (RUNS, "metric.a = 'LR'", "Expected numeric value type for metric. Found 'LR'", "'LR'"),
    (RUNS, "metric.a = '5'", "Expected numeric value type for metric. Found '5'", "'5'"),
    (RUNS, "metrics.a != metrics.a", "Expected numeric value type for metric. Found metrics.a", "metrics.a"),
    (RUNS, "metrics.a > 0x10", "Expected numeric value type for metric. Found 0x10", "0x10"),
    (RUNS, "metrics.a > NaN", "Expected numeric value type for metric. Found NaN", "NaN"),
    (RUNS, "end_time = 'x'", "Expected numeric value type for numeric attribute: end_time. Found 'x'", "'x'"),
    (RUNS, "params.acc = 5", "Expected a quoted string value for parameter (e.g. 'my-value'). Got value 5", "5"),
    (RUNS, "tags.acc = 5", "Expected a quoted string value for tag (e.g. 'my-value'). Got value 5", "5"),
    (RUNS, "attribute.status = 1", "Expected a quoted string value for attributes", "1"),
    (RUNS, "dataset.name = 1", "Expected a quoted string value for dataset attributes", "1"),
    (RUNS, "params.a = ('x')", "Expected a quoted string value for parameter", "("),
    (RUNS, "params.acc = LR", "Parameter value is either not quoted or unidentified quote types used", "LR"),
    (RUNS, "tags.acc = `LR`", "Parameter value is either not quoted or unidentified quote types used", "`LR`"),
    (
        RUNS,
        "run_id IN ()",
        "While parsing a list in the query, expected a non-empty list of string values, but got empty",
        "()",
    ),
    (RUNS, "run_id IN (1)", "While parsing a list in the query, expected a non-empty list of string values", "1"),
    (RUNS, "run_id IN ('a' 'b')", "While parsing a list in the query, expected a non-empty list of string values", "'b'"),
    (RUNS, "run_id IN ('a'", "While parsing a list in the query, expected a non-empty list of string values", ""),
    (RUNS, "run_id IN 'a'", "While parsing a list in the query, expected a non-empty list of string values", "'a'"),
    (EXPERIMENTS, "params.a = 'x'", "Invalid entity type 'params'", "params.a"),
    (EXPERIMENTS, "nam = 'x'", "Invalid attribute key 'nam' specified. Did you mean 'name'", "nam"),
    (EXPERIMENTS, "name > 'x'", "Invalid comparator for attribute: >", ">"),
    (EXPERIMENTS, "name IN ('x')", "Invalid comparator for attribute: IN", "IN"),
    (EXPERIMENTS, "tags.a > 'x'", "Invalid comparator for tag: >", ">"),
    (EXPERIMENTS, "creation_time LIKE 'x'", "Invalid comparator for attribute: LIKE", "LIKE"),
    (EXPERIMENTS, "creation_time = 1.5", "Invalid value for numeric attribute 'creation_time': '1.5'", "1.5"),
    (EXPERIMENTS, "creation_time = '1'", "Expected numeric value type for numeric attribute: creation_time", "'1'"),
    (EXPERIMENTS, "experiment_id = 'abc'", "Invalid value for experiment_id: 'abc'", "'abc'"),
    (EXPERIMENTS, "experiment_id > '1'", "Invalid comparator for attribute: >", ">"),
    (EXPERIMENTS, "name IS NULL", "IS NULL / IS NOT NULL is only supported for tags", "IS NULL"),
    (REGISTERED_MODELS, "run_id = 'x'", "Invalid attribute key 'run_id' specified", "run_id"),
    (REGISTERED_MODELS, "creation_timestamp > 1", "Invalid attribute key 'creation_timestamp' specified", "creation_timestamp"),
    (REGISTERED_MODELS, "name > 'x'", "Invalid comparator for attribute: >", ">"),
    (REGISTERED_MODELS, "tags.a IN ('x')", "Invalid comparator for tag: IN", "IN"),
    (REGISTERED_MODELS, "name = 5", "Expected a quoted string value or a list of quoted string values for attributes", "5"),
    (MODEL_VERSIONS, "version_number = 1.5", "Invalid value for numeric attribute 'version_number': '1.5'", "1.5"),
    (MODEL_VERSIONS, "version_number = 'x'", "Invalid value for numeric attribute 'version_number': 'x'", "'x'"),
    (MODEL_VERSIONS, "source_path IN ('x')", "Invalid comparator for attribute: IN", "IN"),
    (MODEL_VERSIONS, "metrics.a > 1", "Invalid entity type 'metrics'", "metrics.a"),
    (LOGGED_MODELS, "metrics.a LIKE 'x'", "Invalid comparison operator for metrics.a: 'LIKE'", "LIKE"),
    (LOGGED_MODELS, "params.a IS NULL", "Invalid comparison operator for params.a: 'IS NULL'", "IS NULL"),
    (LOGGED_MODELS, "foo = 'x'", "Invalid attribute key 'foo' specified", "foo"),
]


@pytest.mark.parametrize(("subject", "text", "message", "wrong"), REFUSED, ids=[f"{s.noun}: {t}" for s, t, _, _ in REFUSED])
def test_a_filter_is_refused_with_the_token_underlined(subject: Subject, text: str, message: str, wrong: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_filter(text, subject)
    said, shown, marks = caught.value.message.rsplit("\n", 2)
    assert said.startswith(message)
    assert shown == f"  {text}" or wrong == ""
    assert marks.strip() == "^" * max(1, len(wrong))
    start = marks.index("^")
    assert shown[start : start + len(wrong)] == wrong


ORDERS: list[tuple[Subject, str, Order]] = [
    (RUNS, "metrics.a", Order(Field("metric", "a"))),
    (RUNS, "metrics.a DESC", Order(Field("metric", "a"), descending=True)),
    (RUNS, "metrics.a desc", Order(Field("metric", "a"), descending=True)),
    (RUNS, "metrics.a\tASC ", Order(Field("metric", "a"))),
    (RUNS, "metric.`a b`  DESC", Order(Field("metric", "a b"), descending=True)),
    (RUNS, 'metrics."a b" ASC', Order(Field("metric", "a b"))),
    (RUNS, "params.x", Order(Field("param", "x"))),
    (RUNS, "tags.mlflow.user desc", Order(Field("tag", "mlflow.user"), descending=True)),
    (RUNS, "start_time", Order(Field("attribute", "start_time"))),
    (RUNS, "attribute.start_time desc", Order(Field("attribute", "start_time"), descending=True)),
    (RUNS, "Created DESC", Order(Field("attribute", "start_time"), descending=True)),
    (RUNS, "attributes.`Run Name`", Order(Field("attribute", "run_name"))),
    (EXPERIMENTS, "name ASC", Order(Field("attribute", "name"))),
    (EXPERIMENTS, "experiment_id DESC", Order(Field("attribute", "experiment_id"), descending=True)),
    (REGISTERED_MODELS, "timestamp DESC", Order(Field("attribute", "last_updated_timestamp"), descending=True)),
    (REGISTERED_MODELS, "name", Order(Field("attribute", "name"))),
    (MODEL_VERSIONS, "version_number DESC", Order(Field("attribute", "version_number"), descending=True)),
    (MODEL_VERSIONS, "creation_timestamp", Order(Field("attribute", "creation_timestamp"))),
    (LOGGED_MODELS, "metrics.`a b`", Order(Field("metric", "a b"))),
]


@pytest.mark.parametrize(("subject", "text", "order"), ORDERS, ids=[f"{s.noun}: {t}" for s, t, _ in ORDERS])
def test_an_order_means(subject: Subject, text: str, order: Order) -> None:
    assert parse_order(text, subject) == order


REFUSED_ORDERS: list[tuple[Subject, str, str]] = [
    (RUNS, "", "Invalid order_by clause ''"),
    (RUNS, "m.acc", "Invalid entity type 'm'"),
    (RUNS, "acc", "Invalid attribute key 'acc'"),
    (RUNS, "attri.x", "Invalid entity type 'attri'"),
    (RUNS, "`metrics.A", "Invalid order_by clause '`metrics.A'"),
    (RUNS, "`metrics.A`", "Invalid entity type '`metrics.A`'"),
    (RUNS, "attribute.start", "Invalid attribute key 'start'"),
    (RUNS, "attribute.experiment_id", "Invalid attribute key 'experiment_id'"),
    (RUNS, "metrics.A != 1", "Invalid order_by clause 'metrics.A != 1'"),
    (RUNS, "attribute.run_id ACS", "Invalid ordering key in order_by clause 'attribute.run_id ACS'"),
    (RUNS, "metrics.a DESC x", "Invalid order_by clause 'metrics.a DESC x'"),
    (RUNS, "metrics.a, metrics.b", "Invalid order_by clause 'metrics.a, metrics.b'"),
    (RUNS, "dataset.name", "Invalid order_by entity 'dataset'"),
    (EXPERIMENTS, "tags.a", "Invalid order_by entity 'tag'"),
    (REGISTERED_MODELS, "description", "Invalid order by key 'description'"),
    (MODEL_VERSIONS, "run_id", "Invalid attribute key 'run_id'"),
    (LOGGED_MODELS, "params.a", "Invalid order_by entity 'param'"),
]


@pytest.mark.parametrize(("subject", "text", "message"), REFUSED_ORDERS, ids=[f"{s.noun}: {t}" for s, t, _ in REFUSED_ORDERS])
def test_an_order_is_refused(subject: Subject, text: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_order(text, subject)
    assert caught.value.message.startswith(message)


def test_limits_are_stated() -> None:
    clause = "metrics.a > 1"
    assert len(parse_filter(" AND ".join([clause] * 50), RUNS).parts) == 50  # type: ignore[union-attr]
    for text, message in (
        (" AND ".join([clause] * 51), "more than 50 comparisons"),
        ("params.a = '" + "x" * 8_192 + "'", "at most 8192 are allowed"),
        ("params.a LIKE '" + "x" * 257 + "'", "at most 256 are allowed"),
        ("params.a = 'a\0b'", "NUL"),
        ("params.a = '\ud800'", "not valid Unicode"),
    ):
        with pytest.raises(InvalidParameter, match=message):
            parse_filter(text, RUNS)
    assert parse_filter("params.a LIKE '" + "x" * 256 + "'", RUNS)


def test_a_long_filter_is_shown_around_the_error_only() -> None:
    text = " AND ".join([f"params.key{number} = 'value'" for number in range(20)] + ["oops"])
    with pytest.raises(InvalidParameter) as caught:
        parse_filter(text, RUNS)
    _, shown, marks = caught.value.message.rsplit("\n", 2)
    assert len(shown) < 120
    assert shown[marks.index("^") :] == "oops"


def test_a_bare_name_is_answered_with_how_it_is_written() -> None:
    with pytest.raises(InvalidParameter, match=r"Invalid attribute key 'loss'.* metrics\.loss, a param params\.loss"):
        parse_filter("loss < 2", RUNS)
