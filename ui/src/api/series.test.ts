import { decode, encode } from "@msgpack/msgpack";
import { expect, it } from "vitest";
import { readFrame } from "./series";

const bytes = (array: Float32Array | Float64Array) => new Uint8Array(array.buffer);
/** Through MessagePack and back, so that columns lie at odd offsets, as they do on the wire. */
const sent = (frame: object) => decode(encode(frame)) as Parameters<typeof readFrame>[0];

it("reads exact values, absent ones and ones that are not finite", () => {
  const frame = readFrame(
    sent({
      exact: true,
      n: 4,
      x: bytes(new Float64Array([0, 1, 2, 2 ** 53])),
      series: [
        {
          run_id: "r",
          key: "loss",
          points: 3,
          mean: bytes(new Float64Array([0.1, Number.NaN, Number.NaN, 1 / 3])),
          non_finite: [[2, 0]],
        },
      ],
    }),
    "step",
  );
  expect(frame.x).toEqual([0, 1, 2, 2 ** 53]);
  expect(frame.series[0]?.mean).toEqual([0.1, undefined, null, 1 / 3]);
  expect(frame.series[0]?.low).toBeUndefined();
});

it("places buckets of steps at the middle of the steps they hold", () => {
  const column = bytes(new Float32Array([1, Number.NaN]));
  const series = [{ run_id: "r", key: "k", points: 8, mean: column, min: column, max: column }];
  const frame = readFrame(sent({ exact: false, n: 2, x0: 8, dx: 4, series }), "step");
  expect(frame.x).toEqual([9.5, 13.5]);
  expect(frame.series[0]?.low).toEqual([1, undefined]);
  expect(readFrame(sent({ exact: false, n: 2, x0: 8, dx: 4, series }), "time").x).toEqual([10, 14]);
});

it("reads wide columns, whose values float32 could not tell apart", () => {
  const column = bytes(new Float64Array([1000.000001, 1000.000002]));
  const series = [{ run_id: "r", key: "k", points: 8, mean: column, min: column, max: column, wide: true }];
  const frame = readFrame(sent({ exact: false, n: 2, x0: 0, dx: 4, series }), "step");
  expect(frame.series[0]?.high).toEqual([1000.000001, 1000.000002]);
});

it("keeps the range of several points at one exact step", () => {
  const [mean, min, max] = [2, 1, 3].map((value) => bytes(new Float64Array([value])));
  const series = [{ run_id: "r", key: "k", points: 2, mean, min, max, wide: true }];
  const frame = readFrame(sent({ exact: true, n: 1, x: bytes(new Float64Array([5])), series }), "step");
  expect([frame.series[0]?.mean, frame.series[0]?.low, frame.series[0]?.high]).toEqual([[2], [1], [3]]);
});

it("reads how many points stand behind each bucket, and how many there are in all", () => {
  const column = bytes(new Float32Array([1, 2]));
  const count = new Uint8Array(new Uint32Array([3, 70_000]).buffer);
  const series = [
    { run_id: "r", key: "k", points: 70_003, total: 90_000, mean: column, min: column, max: column, count },
  ];
  const frame = readFrame(sent({ exact: false, n: 2, x0: 0, dx: 4, series }), "step");
  expect([...frame.series[0]!.counts!]).toEqual([3, 70_000]);
  expect(frame.series[0]?.total).toBe(90_000);
});

it("takes defaults that the wire leaves out", () => {
  expect(readFrame(sent({ exact: true, n: 0, series: [] }), "step")).toEqual({
    exact: true,
    x: [],
    dx: 0,
    series: [],
    groups: [],
    missing: [],
    edges: undefined,
    approximated: false,
  });
});

it("places buckets of a logarithmic axis at their middle as that axis shows it", () => {
  const column = bytes(new Float32Array([1, 2, 3]));
  const series = [{ run_id: "r", key: "k", points: 3, mean: column, smooth: column, left_out: 2 }];
  const edges = bytes(new Float64Array([0, 1, 4, 16]));
  const frame = readFrame(sent({ exact: false, n: 3, edges, series }), "step");
  expect([frame.x, frame.dx]).toEqual([[0.5, 2, 8], 0]);
  expect([frame.series[0]?.smooth, frame.series[0]?.leftOut]).toEqual([[1, 2, 3], 2]);
});

it("reads groups with their spread and how many runs stand behind each entry", () => {
  const [mean, std, ci95] = [
    [2, 3],
    [0.5, Number.NaN],
    [1, 1],
  ].map((column) => bytes(new Float32Array(column)));
  const runs = new Uint8Array(new Uint32Array([3, 1]).buffer);
  const group = { name: "adam", key: "k", values: ["adam"], run_ids: ["a", "b", "c"], points: 6, mean, min: mean };
  const groups = [{ ...group, max: mean, std, ci95, median: mean, runs }];
  const frame = readFrame(sent({ exact: false, n: 2, x0: 0, dx: 2, series: [], groups }), "step");
  expect(frame.groups[0]).toMatchObject({
    name: "adam",
    mean: [2, 3],
    std: [0.5, undefined],
    runs: new Uint32Array([3, 1]),
  });
});
