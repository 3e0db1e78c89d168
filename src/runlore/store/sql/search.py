"""Searches of experiments, registered models, model versions and logged models. Runs: `search_runs.py`.

Each search is two steps: the keys of one page in order, then the whole objects of that page in a fixed number of statements.
Orders end with a unique key, so pages neither overlap nor skip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runlore.api.experiments import SearchExperiments, SearchExperimentsReply
from runlore.api.logged_models import ModelDataset, ModelOrderBy, SearchLoggedModels, SearchLoggedModelsReply
from runlore.api.registry import (
    SearchModelVersions,
    SearchModelVersionsReply,
    SearchRegisteredModels,
    SearchRegisteredModelsReply,
)
from runlore.exceptions import InvalidParameter
from runlore.query import (
    EXPERIMENTS,
    LOGGED_MODELS,
    MODEL_VERSIONS,
    REGISTERED_MODELS,
    And,
    Comparison,
    Expression,
    Field,
    Order,
    Subject,
    parse_filter,
    parse_order,
)
from runlore.store.sql.conditions import Column, Conditions, Source, Sql, Term, both, sorting
from runlore.store.sql.database import Transaction
from runlore.store.sql.experiment_rows import read_experiments
from runlore.store.sql.handlers import handles
from runlore.store.sql.logged_models import read_logged_models
from runlore.store.sql.pages import Page, page_of
from runlore.store.sql.registry_rows import read_model_versions, read_registered_models

PROMPT_TAG = "mlflow.prompt.is_prompt"
"""MLflow keeps prompts among the registered models and marks them with this tag. Searches leave them out unless asked."""

_EXPERIMENT = Source(
    "e",
    ("experiment_id",),
    {name: Column(f"e.{name}") for name in ("experiment_id", "name", "creation_time", "last_update_time")},
    tags="experiment_tag",
)
_TIMES = {"creation_timestamp": Column("m.creation_time"), "last_updated_timestamp": Column("m.last_update_time")}
_MODEL = Source("m", ("name",), {"name": Column("m.name")} | _TIMES, tags="registered_model_tag")
_VERSION = Source(
    "m",
    ("name", "version"),
    {
        "name": Column("m.name"),
        "version_number": Column("m.version"),
        "run_id": Column("m.run_id", nullable=True),
        "source_path": Column("m.source"),
    }
    | _TIMES,
    tags="model_version_tag",
)
_LOGGED = Source(
    "m",
    ("model_id",),
    {
        "name": Column("m.name"),
        "model_id": Column("m.model_id"),
        "experiment_id": Column("m.experiment_id"),
        "model_type": Column("m.model_type", nullable=True),
        "status": Column("REPLACE(m.status, 'UPLOAD_FAILED', 'FAILED')"),
        "status_message": Column("m.status_message", nullable=True),
        "source_run_id": Column("m.source_run_id", nullable=True),
        "artifact_location": Column("m.artifact_uri"),
    }
    | _TIMES,
    tags="logged_model_tag",
    params="logged_model_param",
)


def parse_orders(texts: Sequence[str], subject: Subject) -> list[Order]:
    """Sort keys of a request. Raises `InvalidParameter` for one that is not understood or comes twice."""
    orders = [parse_order(text, subject) for text in texts]
    if len({order.field for order in orders}) < len(orders):
        raise InvalidParameter(f"`order_by` contains duplicate fields: {list(texts)}")
    return orders


def _complete(orders: list[Order], *defaults: tuple[str, bool]) -> list[Order]:
    """The orders, followed by those of the defaults (attribute, descending) that are not among them."""
    used = {order.field.key for order in orders if order.field.kind == "attribute"}
    return orders + [Order(Field("attribute", name), descending) for name, descending in defaults if name not in used]


def _select(db: Transaction, what: str, condition: Sql, joins: Sql, terms: Sequence[Term], page: Page) -> list[Any]:
    """Keys of one page and one more: `what` is `columns FROM table alias`."""
    order = ", ".join(term.sql for term in terms)
    sql = f"SELECT {what} {joins.text} WHERE {condition.text} ORDER BY {order} LIMIT ? OFFSET ?"
    return db.all(sql, (*joins.values, *condition.values, page.size + 1, page.offset))


# -- experiments -----------------------------------------------------------------------------------------------------------


def lifecycle(alias: str, view_type: str) -> Sql:
    """The condition that a row is active, deleted, or either."""
    return Sql(
        {"ACTIVE_ONLY": f"{alias}.deleted_time IS NULL", "DELETED_ONLY": f"{alias}.deleted_time IS NOT NULL"}.get(
            view_type, "1 = 1"
        )
    )


@handles(SearchExperiments)
def search_experiments(db: Transaction, op: SearchExperiments) -> SearchExperimentsReply:
    """Created last first; where an order is given, ties go by greatest id first (MLflow's rules)."""
    page = page_of(op, op.page_token, op.max_results)
    condition = both(
        [Conditions(db, _EXPERIMENT).condition(parse_filter(op.filter, EXPERIMENTS)), lifecycle("e", op.view_type)]
    )
    orders = parse_orders(op.order_by, EXPERIMENTS)
    orders = (
        _complete(orders, ("experiment_id", True))
        if orders
        else _complete([], ("creation_time", True), ("experiment_id", False))
    )
    joins, terms = sorting(_EXPERIMENT, orders)
    keys, token = page.cut(_select(db, "e.experiment_id FROM experiment e", condition, joins, terms, page))
    return SearchExperimentsReply(experiments=read_experiments(db, [key for (key,) in keys]), next_page_token=token)


# -- registry --------------------------------------------------------------------------------------------------------------


def _without_prompts(tree: Expression) -> tuple[Expression, bool]:
    """The filter without its clauses on the prompt tag, unless it asks for prompts; and whether prompts are left out."""
    clauses = tree.parts if isinstance(tree, And) else (tree,)
    about = [c for c in clauses if isinstance(c, Comparison) and c.field == Field("tag", PROMPT_TAG)]
    for clause in about:
        if (clause.operator, str(clause.value).lower()) in (("=", "true"), ("!=", "false")):
            return tree, False
    return And(tuple(c for c in clauses if c not in about)), True


def _registry_condition(db: Transaction, source: Source, subject: Subject, text: str) -> Sql:
    tree, hide = _without_prompts(parse_filter(text, subject))
    parts = [Conditions(db, source).condition(tree)]
    if hide:
        prompt = f"SELECT 1 FROM {source.tags} p WHERE p.name = m.name AND p.key = ? AND p.value = 'true'"
        parts.append(Sql(f"NOT EXISTS ({prompt})", (PROMPT_TAG,)))
    return both(parts)


@handles(SearchRegisteredModels)
def search_registered_models(db: Transaction, op: SearchRegisteredModels) -> SearchRegisteredModelsReply:
    """By name unless ordered otherwise."""
    page = page_of(op, op.page_token, op.max_results)
    condition = _registry_condition(db, _MODEL, REGISTERED_MODELS, op.filter)
    joins, terms = sorting(_MODEL, _complete(parse_orders(op.order_by, REGISTERED_MODELS), ("name", False)))
    names, token = page.cut(_select(db, "m.name FROM registered_model m", condition, joins, terms, page))
    return SearchRegisteredModelsReply(
        registered_models=read_registered_models(db, [name for (name,) in names]), next_page_token=token
    )


@handles(SearchModelVersions)
def search_model_versions(db: Transaction, op: SearchModelVersions) -> SearchModelVersionsReply:
    """Changed last first, then by name, then newest version first (MLflow's rule)."""
    page = page_of(op, op.page_token, op.max_results)
    condition = _registry_condition(db, _VERSION, MODEL_VERSIONS, op.filter)
    orders = parse_orders(op.order_by, MODEL_VERSIONS) or [Order(Field("attribute", "last_updated_timestamp"), descending=True)]
    joins, terms = sorting(_VERSION, _complete(orders, ("name", False), ("version_number", True)))
    pairs, token = page.cut(_select(db, "m.name, m.version FROM model_version m", condition, joins, terms, page))
    return SearchModelVersionsReply(model_versions=read_model_versions(db, pairs), next_page_token=token)


# -- logged models ---------------------------------------------------------------------------------------------------------


class _LoggedConditions(Conditions):
    """Conditions on logged models: a metric clause is true when any value of the metric on the datasets is."""

    def __init__(self, db: Transaction, datasets: Sequence[ModelDataset]) -> None:
        super().__init__(db, _LOGGED)
        self.datasets = both((_on_dataset("x", item.dataset_name, item.dataset_digest) for item in datasets), "OR")

    def comparison(self, tree: Comparison) -> Sql:
        """Metrics are in a table of their own, with one value for each run and dataset."""
        if tree.field.kind != "metric":
            return super().comparison(tree)
        compared = self.compare("+x.value", tree)
        text = f"({compared.text} OR x.value IS NULL)" if tree.operator == "!=" else compared.text
        return self.any_metric(both([Sql("x.key = ?", (tree.field.key,)), Sql(text, compared.values)]))

    def any_metric(self, condition: Sql) -> Sql:
        """True of a model with a metric value on the datasets that fits the condition."""
        condition = both([condition, self.datasets])
        return Sql(
            f"EXISTS (SELECT 1 FROM model_metric x WHERE x.model_id = m.model_id AND {condition.text})", condition.values
        )


def _on_dataset(alias: str, name: str | None, digest: str | None) -> Sql:
    parts = [Sql(f"{alias}.dataset_name = ?", (name,))] if name else []
    return both(parts + ([Sql(f"{alias}.dataset_digest = ?", (digest,))] if digest else []))


def _has_metric(tree: Expression) -> bool:
    parts = tree.parts if isinstance(tree, And) else (tree,)
    return any(isinstance(part, Comparison) and part.field.kind == "metric" for part in parts)


def _logged_order(by: ModelOrderBy, position: int) -> tuple[Sql, list[Term]]:
    """Joins and terms of one sort key: an attribute, or the metric's value that was logged last on the dataset."""
    order = parse_order(_quoted(by.field_name), LOGGED_MODELS)
    if by.dataset_digest and not by.dataset_name:
        raise InvalidParameter("`dataset_digest` can only be specified if `dataset_name` is also specified.")
    if order.field.kind == "attribute":
        return Sql(""), list(sorting(_LOGGED, [Order(order.field, not by.ascending)]).terms)
    dataset = _on_dataset("v", by.dataset_name, by.dataset_digest)
    value = f"o{position}.value"
    newest = (
        "SELECT v.model_id, v.value, ROW_NUMBER() OVER (PARTITION BY v.model_id ORDER BY v.time DESC, v.step DESC, v.run_key, "
        f"v.dataset_name, v.dataset_digest) AS place FROM model_metric v WHERE v.key = ? AND {dataset.text}"
    )
    join = f"LEFT JOIN ({newest}) o{position} ON o{position}.model_id = m.model_id AND o{position}.place = 1"
    missing = f"CASE WHEN o{position}.model_id IS NULL THEN 2 WHEN {value} IS NULL THEN 1 ELSE 0 END"
    return Sql(join, (order.field.key, *dataset.values)), [Term(missing), Term(value, not by.ascending)]


def _quoted(field_name: str) -> str:
    """MLflow writes the metric of an order without quotes, whatever is in its name: `metrics.val loss`."""
    entity, dot, key = field_name.strip().partition(".")
    if not dot:
        return field_name
    if entity not in ("metric", "metrics"):
        raise InvalidParameter(
            f"Invalid order by field name: {field_name[:200]}. Only metrics.<name> and attributes are allowed."
        )
    if "`" in key.strip("`"):
        raise InvalidParameter(f"Invalid order by field name: {field_name[:200]}. A key can not contain a backtick.")
    return f"metrics.`{key.strip('`')}`"


@handles(SearchLoggedModels)
def search_logged_models(db: Transaction, op: SearchLoggedModels) -> SearchLoggedModelsReply:
    """Newest first unless ordered otherwise. With datasets and no metric clause: models measured on one of them."""
    page = page_of(op, op.page_token, op.max_results)
    tree = parse_filter(op.filter, LOGGED_MODELS)
    conditions = _LoggedConditions(db, op.datasets)
    experiments, parameter = db.among("m.experiment_id", [int(item) for item in op.experiment_ids] or [-1])
    parts = [Sql("m.deleted_time IS NULL"), Sql(experiments, (parameter,)), conditions.condition(tree)]
    if op.datasets and not _has_metric(tree):
        parts.append(conditions.any_metric(Sql("1 = 1")))
    joins: list[Sql] = []
    terms: list[Term] = []
    for position, by in enumerate(op.order_by):
        join, more = _logged_order(by, position)
        joins.append(join)
        terms += more
    ties = (Term("m.creation_time", descending=True), Term("m.model_id", text=True))
    terms += [tie for tie in ties if tie.value not in {term.value for term in terms}]
    joined = Sql(" ".join(join.text for join in joins), tuple(value for join in joins for value in join.values))
    ids, token = page.cut(_select(db, "m.model_id FROM logged_model m", both(parts), joined, terms, page))
    return SearchLoggedModelsReply(models=read_logged_models(db, [key for (key,) in ids]), next_page_token=token)
