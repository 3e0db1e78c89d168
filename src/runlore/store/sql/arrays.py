"""Many points of few metrics as arrays: what a delivery brings is counted and stored without an object for each point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runlore.api.runs import MetricPoint
from runlore.series.chunk import Points, encode_arrays
from runlore.store.sql.summaries import Counted, Summary

if TYPE_CHECKING:
    from numpy.typing import NDArray


class MetricArrays:
    """Points of one metric in order of arrival, none with a model or dataset. The counterpart of `summaries.Columns`."""

    __slots__ = ("_key", "_steps", "_times", "_values")

    def __init__(self, key: str, steps: NDArray[Any], times: NDArray[Any], values: NDArray[Any]) -> None:
        self._key, self._steps, self._times, self._values = key, steps, times, values

    @property
    def first(self) -> MetricPoint:
        """The point that came first."""
        return self._point(0)

    def are_new(self, summary: Summary | None) -> bool:
        """As `Columns.are_new`."""
        steps, times = self._steps, self._times
        return bool(
            ((summary is None or steps[0] > summary.greatest_step) and (steps[1:] > steps[:-1]).all())
            or ((summary is None or times[0] > summary.max_time) and (times[1:] > times[:-1]).all())
        )

    def counted(self) -> Counted:
        """As `Columns.counted`."""
        import numpy as np

        finite, steps = self._values, self._steps
        whole = np.isfinite(finite)
        if not whole.all():
            finite, steps = finite[whole], steps[whole]
        low = high = None
        if len(finite):
            least, greatest = int(finite.argmin()), int(finite.argmax())
            low, high = (float(finite[least]), int(steps[least])), (float(finite[greatest]), int(steps[greatest]))
        count, greatest_step, max_time = len(self._values), int(self._steps.max()), int(self._times.max())
        return Counted(count, self._last(greatest_step), greatest_step, max_time, finite.tolist(), low, high)

    def _last(self, greatest_step: int) -> MetricPoint:
        """The point with the greatest (step, time), ties by arrival."""
        at = (self._steps == greatest_step).nonzero()[0]
        times = self._times[at]
        return self._point(int(at[(times == times.max()).nonzero()[0][-1]]))

    def _point(self, at: int) -> MetricPoint:
        step, time, value = int(self._steps[at]), int(self._times[at]), float(self._values[at])
        return MetricPoint(key=self._key, value=value, timestamp=time, step=step)


class PointArrays:
    """Points in order of arrival: the place of each one's key in `keys` (which are different ones), step, time, value."""

    __slots__ = ("_places", "_steps", "_times", "_values", "keys")

    def __init__(
        self, keys: list[str], places: NDArray[Any], steps: NDArray[Any], times: NDArray[Any], values: NDArray[Any]
    ) -> None:
        self.keys, self._places, self._steps, self._times, self._values = keys, places, steps, times, values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, part: slice) -> PointArrays:
        return PointArrays(self.keys, self._places[part], self._steps[part], self._times[part], self._values[part])

    @property
    def earliest(self) -> int:
        """The least time."""
        return int(self._times.min())

    @property
    def latest(self) -> int:
        """The greatest time."""
        return int(self._times.max())

    def points(self) -> list[MetricPoint]:
        """An object for each point."""
        columns = self._places.tolist(), self._steps.tolist(), self._times.tolist(), self._values.tolist()
        return [
            MetricPoint(key=self.keys[place], value=value, timestamp=time, step=step)
            for place, step, time, value in zip(*columns, strict=True)
        ]

    def by_key(self) -> dict[str, MetricArrays]:
        """The points of each metric, the metric whose first point came first being the first."""
        import numpy as np

        narrow = np.uint16 if len(self.keys) < 65_536 else np.uint32  # numpy sorts the narrow ones in linear time
        order = np.argsort(self._places.astype(narrow), kind="stable")
        ordered = self._places[order]
        starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        groups = sorted(zip(order[starts].tolist(), np.split(order, starts[1:]), strict=True), key=lambda group: group[0])
        return {
            key: MetricArrays(key, self._steps[places], self._times[places], self._values[places])
            for key, places in ((self.keys[self._places[first]], places) for first, places in groups)
        }

    def packed(self, series: dict[str, int]) -> tuple[int, int, bytes]:
        """Least and greatest number and the bytes of the tail row of these points; `series` numbers their metrics."""
        import numpy as np

        numbers = np.array([series.get(key, -1) for key in self.keys], np.int64)[self._places]
        return int(numbers.min()), int(numbers.max()), encode_arrays(Points(self._steps, self._times, self._values), numbers)
