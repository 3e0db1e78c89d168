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
    ChildOf,
    Comparison,
    Expression,
    Field,
    HasChild,
    Not,
    Or,
    ParentMatches,
    Subject,
    parse_column,
    parse_filter,
    parse_order,
)

DAY, NOW = 86_400_000, 1_800_000_000_000
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
    (
        "metrics.a BETWEEN 1 AND 2",
        And((Comparison(Field("metric", "a"), ">=", 1.0), Comparison(Field("metric", "a"), "<=", 2.0))),
    ),
    ("metrics.a@step(1000) > 1", Comparison(Field("metric", "a", "step", 1000), ">", 1.0)),
    ("metrics.`a b`@step(-5) > 1", Comparison(Field("metric", "a b", "step", -5), ">", 1.0)),
    ("metrics.a > 10GB", Comparison(Field("metric", "a"), ">", 1e10)),
    ("metrics.a > 1.5KiB", Comparison(Field("metric", "a"), ">", 1536.0)),
    ("metrics.7d > 1", Comparison(Field("metric", "7d"), ">", 1.0)),
    ("params.a ~ '^x'", Comparison(Field("param", "a"), "~", "^x")),
    ("params.a !~ '^x'", Comparison(Field("param", "a"), "!~", "^x", or_missing=True)),
    ("duration > 1h30m", Comparison(Field("attribute", "duration"), ">", 5_400_000)),
    ("duration > 0.5s", Comparison(Field("attribute", "duration"), ">", 500)),
    ("start_time > -7d", Comparison(Field("attribute", "start_time"), ">", NOW - 7 * DAY)),
    ("start_time > now", Comparison(Field("attribute", "start_time"), ">", NOW)),
    ("start_time > '-1w'", Comparison(Field("attribute", "start_time"), ">", NOW - 7 * DAY)),
    ("start_time >= 1970-01-02", Comparison(Field("attribute", "start_time"), ">=", DAY)),
    ("start_time > 1970-01-02", Comparison(Field("attribute", "start_time"), ">=", 2 * DAY)),
    ("start_time <= 1970-01-02", Comparison(Field("attribute", "start_time"), "<", 2 * DAY)),
    ("start_time > 1970-01-01T00:00:01", Comparison(Field("attribute", "start_time"), ">", 1_000)),
    ("start_time > '1970-01-01 00:00:01'", Comparison(Field("attribute", "start_time"), ">", 1_000)),
    ("start_time > 1970-01-01T00:00:01-01:00", Comparison(Field("attribute", "start_time"), ">", 3_601_000)),
    (f"child of '{'aB' * 16}'", ChildOf("ab" * 16)),
    (f"has child ({TEXT_A})", HasChild(A)),
    (f"parent matches ({TEXT_A} OR {TEXT_B})", ParentMatches(Or((A, B)))),
    ("HAS tags.best", Comparison(Field("tag", "best"), "IS NOT NULL")),
    ("has tag `a b`", Comparison(Field("tag", "a b"), "IS NOT NULL")),
    ("notes IS NULL", Comparison(Field("tag", "mlflow.note.content"), "IS NULL")),
    ("status IN ('RUNNING', 'FAILED')", Comparison(Field("attribute", "status"), "IN", ("RUNNING", "FAILED"))),
]


@pytest.mark.parametrize(("text", "tree"), NESTED, ids=[text for text, _ in NESTED])
def test_a_native_filter_means(text: str, tree: Expression) -> None:
    assert parse_filter(text, RUN_TABLE, NOW) == tree


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
        ("metrics.a@step > 1", r"@step takes a whole number in parentheses"),
        ("metrics.a@step(x) > 1", r"@step takes a whole number in parentheses"),
        ("metrics.a@step(1.5) > 1", r"@step takes a whole number in parentheses"),
        ("metrics.a BETWEEN 1", "Expected AND and the upper end of BETWEEN"),
        ("metrics.a BETWEEN 1 OR 2", "Expected AND and the upper end of BETWEEN"),
        ("metrics.a BETWEEN 1 AND", "Expected a value"),
        ("params.a BETWEEN 1 AND 'x'", "two numbers or two texts"),
        ("metrics.a BETWEN 1 AND 2", "did you mean BETWEEN"),
        ("metrics.a ~ 'x'", "Invalid comparator '~'"),
        ("experiment_id BETWEEN 1 AND 2", "Invalid comparator 'BETWEEN'"),
        ("params.a ~ '('", r"Invalid regular expression \(RE2\): missing \)"),
        ("params.a ~ '(?=x)'", r"Invalid regular expression \(RE2\): invalid perl operator"),
        (r"params.a ~ '(x)\1'", r"Invalid regular expression \(RE2\): invalid escape"),
        (r"params.a ~ '\pL{1000}'", "pattern too large"),
        ("params.a ~ 'x{1001}'", "invalid repetition size"),
        (f"params.a ~ '{'x' * 257}'", "at most 256 are allowed"),
        ("params.a ~ 5", "Expected a quoted string value"),
        ("metrics.a > 2h", "'2h' is no number for metric 'a'. Units are B, kB"),
        ("params.a = 2h", "Write text in quotes"),
        ("duration > 10GB", "Expected a span"),
        ("duration > -7x", "Expected a span"),
        ("duration > 2026-01-01", "Expected a span"),
        ("start_time > 7d", "Expected a date"),
        ("start_time > 2026-13-01", "Expected a date"),
        ("start_time > 'soon'", "Expected a date"),
        ("start_time > 99999999999999999999w", "Expected a date"),
        ("start_time IN (2026-01-01)", "A list can not hold whole days"),
        ("child of 'x'", "CHILD OF takes the id of a run"),
        ("child of", "CHILD OF takes the id of a run"),
        (f"has child {TEXT_A}", "an opening parenthesis"),
        ("has child (", "a field such as"),
        ("parent matches ()", "a field such as"),
        ("HAS", "a field such as"),
        ("HAS tag", "the key of a tag"),
        ("HAS foo", "Invalid attribute key 'foo'"),
        ("has child (" * 9 + TEXT_A + ")" * 9, "more than 8 levels deep"),
        ("(" * 8 + TEXT_A + ")" * 8, "more than 8 levels deep"),
        ("NOT " * 8 + TEXT_A, "more than 8 levels deep"),
        ("(" * 5_000, "more than 8 levels deep"),
    ],
)
def test_a_native_filter_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        parse_filter(text, RUN_TABLE)


@pytest.mark.parametrize(
    "text",
    [
        "metrics.a BETWEEN 1 AND 2", "params.a ~ 'x'", "metrics.a@min > 1", "metrics.a > 1 OR metrics.a < 0", "HAS tags.a",
        "start_time > -7d", "start_time > 2026-01-01", "metrics.a > 10GB", "has child (metrics.a > 1)", "NOT metrics.a > 1",
        "(metrics.a > 1)", "notes = 'x'", "metrics.a IS NULL", "params.lr > 0.1",
    ],
)  # fmt: skip
def test_mlflows_grammar_stays_mlflows(text: str) -> None:
    parse_filter(text, RUN_TABLE)
    with pytest.raises(InvalidParameter):
        parse_filter(text, RUNS)


def test_the_wrong_token_is_underlined() -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_filter("status = 'x' AND params.a ~ '(' AND metrics.b > 1", RUN_TABLE)
    _, shown, line = caught.value.message.split("\n")
    assert shown[line.index("^") : line.rindex("^") + 1] == "'('"


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
IS NULL AND OR 1 -1.5e3 .5 min 'x' 'é' \\ ; -- BETWEEN HAS CHILD OF PARENT MATCHES ~ !~ -7d 2h 10GB 2026-01-02 step notes"""
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
