"""Comparing runs: what differs between them, found in the store and not in the browser."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from runlore.api.dashboard import Cell
from runlore.api.operation import Operation, Route, RunId, View
from runlore.entities import Entity, Value

Section = Literal["attributes", "params", "metrics", "tags", "datasets"]


class ComparedTexts(Value):
    """`values[i][j]` is what run `j` has for `keys[i]`, None where it has nothing; `differs[i]` says whether the runs differ in
    it. `equal` and `differing` count all keys, also those that were left out."""

    keys: list[str] = field(default_factory=list)
    values: list[list[Cell]] = field(default_factory=list)
    differs: list[bool] = field(default_factory=list)
    equal: int = 0
    differing: int = 0


class ComparedMetrics(Value):
    """`last[i][j]` is the last value of metric `keys[i]` in run `j`, None where the run does not have it; the smallest and the
    greatest finite value likewise, None where there is none. Each with the step it was logged at."""

    keys: list[str] = field(default_factory=list)
    last: list[list[float | None]] = field(default_factory=list)
    last_step: list[list[int | None]] = field(default_factory=list)
    minimum: list[list[float | None]] = field(default_factory=list)
    minimum_step: list[list[int | None]] = field(default_factory=list)
    maximum: list[list[float | None]] = field(default_factory=list)
    maximum_step: list[list[int | None]] = field(default_factory=list)
    differs: list[bool] = field(default_factory=list)
    equal: int = 0
    differing: int = 0


class RunComparison(Entity):
    """Runs side by side, in the order they were asked for. A section that was not asked for is left out."""

    run_ids: list[str] = field(default_factory=list)
    attributes: ComparedTexts | None = None
    params: ComparedTexts | None = None
    metrics: ComparedMetrics | None = None
    tags: ComparedTexts | None = None
    datasets: ComparedTexts | None = None


class CompareRuns(Operation[RunComparison]):
    """What differs between runs, deleted ones too. Keys are in order of name.

    Params that are the same number in another spelling (`0.1`, `1e-1`) are equal. A metric is equal when its last, smallest
    and greatest values are; a NaN equals a NaN. The key of a dataset is its name and context, its value the digest.
    `differences_only` false gives equal keys too. Of each section at most `limit` keys are given, from `offset` on.
    """

    route = Route("POST", "runs/compare", needs=View("run_ids"), base="v1")
    run_ids: Annotated[list[RunId], Meta(min_length=2, max_length=100)]
    sections: list[Section] = field(default_factory=lambda: ["attributes", "params", "metrics", "tags", "datasets"])
    differences_only: bool = True
    offset: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=20_000)] = 5_000
