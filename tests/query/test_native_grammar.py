"""Runlore's own grammar: nesting, aggregates, numbers; and what no text can do to either parser."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runlore.exceptions import InvalidParameter
from runlore.query import (
    EXPERIMENTS,
    LOGGED_MODELS,
    MODEL_VERSIONS,
    REGISTERED_MODELS,
    RUN_TABLE,
    RUNS,
    And,
    Comparison,
    Expression,
    Field,
    Not,
    Or,
    Subject,
    parse_column,
    parse_filter,
    parse_order,
)

A, B, C = (Comparison(Field("metric", key), ">", 1.0) for key in "abc")
TEXT_A, TEXT_B, TEXT_C = (f"metrics.{key} > 1" for key in "abc")

NESTED: list[tuple[str, Expression]] = [
    (f"{TEXT_A} OR {TEXT_B}", Or((A, B))),
    (f"{TEXT_A} or {TEXT_B} OR {TEXT_C}", Or((A, B, C))),
    (f"{TEXT_A} OR {TEXT_B} AND {TEXT_C}", Or((A, And((B, C))))),
    (f"({TEXT_A} OR {TEXT_B}) AND {TEXT_C}", And((Or((A, B)), C))),
    (f"NOT {TEXT_A} AND {TEXT_B}", And((Not(A), B))),
    (f"not ({TEXT_A} AND {TEXT_B})", Not(And((A, B)))),
    (f"NOT NOT {TEXT_A}", Not(Not(A))),
    (f"(({TEXT_A}))", A),
    ("metrics.a@min > 1", Comparison(Field("metric", "a", "min"), ">", 1.0)),
    ("metrics.`val/loss`@max <= 1", Comparison(Field("metric", "val/loss", "max"), "<=", 1.0)),
    ("metrics.val/loss@mean = 1", Comparison(Field("metric", "val/loss", "mean"), "=", 1.0)),
    ("metrics.a@count IN (1, 2)", Comparison(Field("metric", "a", "count"), "IN", (1.0, 2.0))),
    ("metrics.a != 1", Comparison(Field("metric", "a"), "!=", 1.0, or_missing=True)),
    ("metrics.a IS NULL", Comparison(Field("metric", "a"), "IS NULL")),
    ("params.lr > 0.01", Comparison(Field("param", "lr"), ">", 0.01)),
    ("params.lr = '0.01'", Comparison(Field("param", "lr"), "=", 0.01)),
    ("params.lr >= '1e-3'", Comparison(Field("param", "lr"), ">=", 0.001)),
    ("params.opt = 'adam'", Comparison(Field("param", "opt"), "=", "adam")),
    ("params.id = '12345678901234567890'", Comparison(Field("param", "id"), "=", "12345678901234567890")),
    ("params.lr IN ('0.1', 0.2)", Comparison(Field("param", "lr"), "IN", (0.1, 0.2))),
    ("params.opt IN ('adam', '1')", Comparison(Field("param", "opt"), "IN", ("adam", "1"))),
    ("params.opt NOT IN ('adam')", Comparison(Field("param", "opt"), "NOT IN", ("adam",), or_missing=True)),
    ("tags.version = 3", Comparison(Field("tag", "version"), "=", "3")),
    ("tags.a = 'it''s'", Comparison(Field("tag", "a"), "=", "it's")),
    (r"tags.a = 'it\'s'", Comparison(Field("tag", "a"), "=", "it's")),
    ("experiment_id = 3", Comparison(Field("attribute", "experiment_id"), "=", 3)),
    ("name LIKE 'x%'", Comparison(Field("attribute", "run_name"), "LIKE", "x%")),
    ("duration > 60000", Comparison(Field("attribute", "duration"), ">", 60_000)),
    ("end_time IS NULL", Comparison(Field("attribute", "end_time"), "IS NULL")),
    ("status IN ('RUNNING', 'FAILED')", Comparison(Field("attribute", "status"), "IN", ("RUNNING", "FAILED"))),
]


@pytest.mark.parametrize(("text", "tree"), NESTED, ids=[text for text, _ in NESTED])
def test_a_native_filter_means(text: str, tree: Expression) -> None:
    assert parse_filter(text, RUN_TABLE) == tree


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"({TEXT_A}", "a closing parenthesis"),
        (f"{TEXT_A})", "Expected AND or OR"),
        ("()", "a field such as"),
        ("NOT", "a field such as"),
        (f"{TEXT_A} OR", "a field such as"),
        ("metrics.a@best > 1", "Invalid aggregate 'best'"),
        ("metrics.a@ min > 1", "Invalid aggregate 'min'"),
        ("params.a@min > 1", "Invalid aggregate 'min'"),
        ("start_time LIKE '1'", "Invalid comparator 'LIKE'"),
        ("(" * 8 + TEXT_A + ")" * 8, "more than 8 levels deep"),
        ("NOT " * 8 + TEXT_A, "more than 8 levels deep"),
        ("(" * 5_000, "more than 8 levels deep"),
    ],
)
def test_a_native_filter_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        parse_filter(text, RUN_TABLE)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("attributes.status", Field("attribute", "status")),
        ("status", Field("attribute", "status")),
        ("attributes.name", Field("attribute", "run_name")),
        ("params.lr", Field("param", "lr")),
        ("tags.mlflow.user", Field("tag", "mlflow.user")),
        ("metrics.val loss/é", Field("metric", "val loss/é")),
        ("metrics.loss@min", Field("metric", "loss", "min")),
        ("metrics.recall@5", Field("metric", "recall@5")),
        ("metrics.recall@5@max", Field("metric", "recall@5", "max")),
        ("params.a@min", Field("param", "a@min")),
    ],
)
def test_a_column_means(name: str, field: Field) -> None:
    assert parse_column(name) == field


@pytest.mark.parametrize("name", ["attributes.staus", "datasets.name", "foo.bar", "foo", "metrics\0.a"])
def test_an_unknown_column_is_refused(name: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_column(name)


WORDS = """metrics params tags attributes dataset run status start_time name . ` ' \" ( ) , @ = != < <= > >= LIKE ILIKE IN NOT
IS NULL AND OR 1 -1.5e3 .5 min 'x' 'é' \\ ; --"""
PIECES = st.sampled_from([*WORDS.split(), "\n", " ", "\0", "\ud800"])
TEXTS = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=14).map("".join), st.lists(PIECES, max_size=14).map(" ".join))
SUBJECTS = st.sampled_from([RUNS, RUN_TABLE, EXPERIMENTS, REGISTERED_MODELS, MODEL_VERSIONS, LOGGED_MODELS])


@settings(deadline=None, max_examples=300)
@given(TEXTS, SUBJECTS)
def test_no_text_raises_anything_but_a_refusal(text: str, subject: Subject) -> None:
    for parse in (lambda: parse_filter(text, subject), lambda: parse_order(text, subject), lambda: parse_column(text)):
        with suppress(InvalidParameter):
            parse()


KEYS = st.text(st.characters(codec="utf-8", exclude_characters="`\0"), min_size=1, max_size=20)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="'\\\0"), max_size=20)


@settings(deadline=None)
@given(KEYS, VALUES)
def test_any_key_and_text_can_be_written_in_quotes(key: str, value: str) -> None:
    expected = Comparison(Field("tag", key), "=", value)
    assert parse_filter(f"tags.`{key}` = '{value}'", RUNS) == expected


@settings(deadline=None)
@given(VALUES.map(lambda text: text + "'"))
def test_a_native_text_can_hold_its_own_quote(value: str) -> None:
    doubled = value.replace("'", "''")
    assert parse_filter(f"tags.a = '{doubled}'", RUN_TABLE) == Comparison(Field("tag", "a"), "=", value)


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_can_be_written(value: float) -> None:
    assert parse_filter(f"metrics.a = {value!r}", RUNS) == Comparison(Field("metric", "a"), "=", value)
