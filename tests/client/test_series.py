"""Lines of charts as arrays."""

from __future__ import annotations

import math

import numpy as np
import pytest

from runlore.client import RunloreClient
from runlore.entities import Metric, Param
from runlore.exceptions import InvalidParameter


def run(client: RunloreClient, experiment: str, values: list[float], **params: str) -> str:
    run_id = client.create_run(experiment).info.run_id
    points = [Metric(key="loss", value=value, timestamp=step, step=step) for step, value in enumerate(values)]
    for first in range(0, len(points), 1_000):
        client.log_batch(run_id, metrics=points[first : first + 1_000])
    client.log_batch(run_id, params=[Param(key=key, value=value) for key, value in params.items()])
    return run_id


def test_few_points_are_arrays_of_what_was_logged(client: RunloreClient, experiment: str) -> None:
    one = run(client, experiment, [1.0, math.nan, 3.0])
    chart = client.query_series(one, "loss", smoothing=("ema", 0.0), best="max")

    (curve,) = chart.curves
    assert (chart.exact, chart.approximated, chart.edges, chart.x.tolist()) == (True, False, None, [0, 1, 2])
    assert np.array_equal(curve.mean, [1.0, math.nan, 3.0], equal_nan=True)
    assert np.array_equal(curve.smooth, [1.0, math.nan, 3.0], equal_nan=True)
    assert curve.best.tolist() == [1.0, 1.0, 3.0]
    assert (curve.run_ids, curve.key, curve.points, curve.count.tolist()) == ([one], "loss", 3, [1, 0, 1])
    assert [(place, math.isnan(value)) for place, value in curve.non_finite] == [(1, True)]
    with pytest.raises(AttributeError, match="no 'median'"):
        _ = curve.median


def test_many_points_are_buckets(client: RunloreClient, experiment: str) -> None:
    one = run(client, experiment, np.arange(8_192.0).tolist())
    chart = client.query_series([client.get_run(one)], ["loss", "none"], width=16)

    assert (chart.exact, chart.missing) == (False, [(one, "none")])
    assert chart.edges is not None
    assert chart.edges.tolist() == list(range(0, 8_193, 512))
    assert chart.curves[0].mean.tolist() == chart.x.tolist() == [512 * place + 255.5 for place in range(16)]
    log = client.query_series(one, "loss", width=100, log=True)
    assert log.edges is not None
    assert log.edges[:5].tolist() == [0, 1, 2, 3, 4]


def test_groups_by_a_param_and_by_name(client: RunloreClient, experiment: str) -> None:
    runs = [run(client, experiment, [float(number)] * 3, opt=name) for number, name in enumerate(["sgd", "adam", "sgd"])]
    chart = client.query_series(runs, "loss", group_by="params.opt")

    assert [(curve.name, curve.values, curve.run_ids) for curve in chart.curves] == [
        ("opt = adam", ["adam"], [runs[1]]), ("opt = sgd", ["sgd"], [runs[0], runs[2]]),
    ]  # fmt: skip
    assert chart.curves[1].mean.tolist() == chart.curves[1].median.tolist() == [1.0] * 3
    assert chart.curves[1].runs.tolist() == [2] * 3
    named = client.query_series(runs, "loss", group_by={"all": runs})
    assert named.curves[0].std.tolist() == [1.0] * 3


def test_a_table_has_a_row_for_each_point(client: RunloreClient, experiment: str) -> None:
    one, two = run(client, experiment, [1.0, math.inf]), run(client, experiment, [3.0, 4.0, 5.0])
    table = client.query_series([one, two], "loss").to_pandas()

    assert list(table.columns) == ["run_id", "key", "x", "mean", "min", "max", "count"]
    assert table["run_id"].tolist() == [one] * 2 + [two] * 3
    assert table["x"].tolist() == [0, 1, 0, 1, 2]
    grouped = client.query_series([one, two], "loss", group_by=[]).to_pandas()
    assert grouped["runs"].tolist() == [2, 1, 1]
    assert client.query_series([one], "none").to_pandas().empty
    assert client.query_series([], "loss").curves == []


def test_another_metric_as_x_and_an_axis_that_does_not_exist(client: RunloreClient, experiment: str) -> None:
    one = run(client, experiment, [1.0, 2.0])
    assert client.query_series(one, "loss", x="metrics.loss").x.tolist() == [1.0, 2.0]
    with pytest.raises(InvalidParameter, match="no x-axis"):
        client.query_series(one, "loss", x="epoch")
