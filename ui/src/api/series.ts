/** Series as they come over the wire, decoded: binary columns become numbers, absent buckets become `undefined`. */

import { postForMessagePack } from "./client";
import type { QuerySeries } from "./types";

type MaybeNumber = number | null | undefined;

/** One line of a chart. `undefined` = nothing logged there, `null` = a point that is not finite. */
export interface Series {
  runId: string;
  key: string;
  /** Points logged in the window, and in all. */
  points: number;
  total: number;
  mean: MaybeNumber[];
  /** The smoothed line, where that was asked for. */
  smooth?: MaybeNumber[];
  /** Smallest and largest value of each bucket; absent when `mean` holds the values themselves. */
  low?: MaybeNumber[];
  high?: MaybeNumber[];
  /** Finite values behind each entry; absent when that is one each. */
  counts?: Uint32Array;
  /** `[index, kind]`: 0 = NaN, 1 = +Infinity, −1 = −Infinity. */
  nonFinite: [index: number, kind: number][];
  /** Points that have no place on the axis. */
  leftOut: number;
}

/** Lines of several runs taken together: in each entry every run counts once. */
export interface GroupSeries extends Omit<Series, "runId" | "counts"> {
  name: string;
  runIds: string[];
  std: MaybeNumber[];
  /** Half the width of the 95% confidence interval of the mean. */
  ci95: MaybeNumber[];
  /** Runs with a value in each entry. */
  runs: Uint32Array;
}

/** Lines on one grid. */
export interface Frame {
  exact: boolean;
  /** Steps, milliseconds for time and relative time, values of another metric. Buckets are placed at their middle. */
  x: number[];
  /** Width of a bucket; 0 when exact, and on a logarithmic axis, where `edges` tell. */
  dx: number;
  edges?: number[];
  series: Series[];
  groups: GroupSeries[];
  missing: [runId: string, key: string][];
  /** Places on x are near, not exact. */
  approximated: boolean;
}

interface WireLine {
  key: string;
  points: number;
  mean: Uint8Array;
  min?: Uint8Array;
  max?: Uint8Array;
  smooth?: Uint8Array;
  total?: number;
  wide?: boolean;
  non_finite?: [number, number][];
  left_out?: number;
}

interface WireSeries extends WireLine {
  run_id: string;
  count?: Uint8Array;
}

interface WireGroup extends WireLine {
  name: string;
  run_ids: string[];
  std: Uint8Array;
  ci95: Uint8Array;
  runs: Uint8Array;
}

interface WireFrame {
  exact: boolean;
  n: number;
  series: WireSeries[];
  groups?: WireGroup[];
  x?: Uint8Array;
  x0?: number;
  dx?: number;
  edges?: Uint8Array;
  missing?: [string, string][];
  approximated?: boolean;
}

/** Lines for one chart. */
export async function querySeries(query: QuerySeries, signal?: AbortSignal): Promise<Frame> {
  return readFrame((await postForMessagePack("/api/v1/series", query, signal)) as WireFrame, query.x ?? "step");
}

/** The frame that a message means. */
export function readFrame(wire: WireFrame, axis: string): Frame {
  const edges = wire.edges?.length ? [...float64(wire.edges)] : undefined;
  const dx = wire.exact || edges ? 0 : (wire.dx ?? 1);
  return {
    exact: wire.exact,
    x: wire.exact ? [...float64(wire.x ?? new Uint8Array(0))] : edges ? middles(edges) : places(wire, dx, axis),
    dx,
    edges: wire.exact ? undefined : edges,
    series: wire.series.map((one) => readSeries(one, wire.exact)),
    groups: (wire.groups ?? []).map((one) => readGroup(one, wire.exact)),
    missing: wire.missing ?? [],
    approximated: wire.approximated ?? false,
  };
}

function places({ n, x0 = 0 }: WireFrame, dx: number, axis: string): number[] {
  // Steps are whole numbers: a bucket of width 4 from 8 holds 8, 9, 10, 11 and its middle is 9.5.
  const middle = axis === "step" ? (dx - 1) / 2 : dx / 2;
  return Array.from({ length: n }, (_, index) => x0 + index * dx + middle);
}

/** Middles of buckets as a logarithmic axis shows them; the one that begins at zero has no such middle. */
function middles(edges: readonly number[]): number[] {
  return edges.slice(1).map((end, index) => {
    const start = edges[index]!;
    return start > 0 ? Math.sqrt(start * end) : end / 2;
  });
}

function readLine(wire: WireLine, exact: boolean) {
  const marks = wire.non_finite ?? [];
  // float32 unless it would lie: where neighbouring values differ by less than it can tell apart, the server says "wide".
  const numbers = exact || wire.wide ? float64 : float32;
  const read = (bytes: Uint8Array | undefined) => (bytes?.length ? column(numbers(bytes), marks) : undefined);
  return {
    key: wire.key,
    points: wire.points,
    total: Math.max(wire.points, wire.total ?? 0),
    nonFinite: marks,
    leftOut: wire.left_out ?? 0,
    mean: column(numbers(wire.mean), marks),
    smooth: read(wire.smooth),
    low: read(wire.min),
    high: read(wire.max),
    read,
  };
}

function readSeries(wire: WireSeries, exact: boolean): Series {
  const { read: _, ...line } = readLine(wire, exact);
  return { runId: wire.run_id, ...line, counts: line.low && wire.count?.length ? uint32(wire.count) : undefined };
}

function readGroup(wire: WireGroup, exact: boolean): GroupSeries {
  const { read, ...line } = readLine(wire, exact);
  return {
    name: wire.name,
    runIds: wire.run_ids,
    ...line,
    std: read(wire.std) ?? [],
    ci95: read(wire.ci95) ?? [],
    runs: uint32(wire.runs),
  };
}

/** Not-a-number means "nothing here", except where a mark says that something not finite was logged: that breaks the line. */
function column(values: Float32Array | Float64Array, marks: readonly [number, number][]): MaybeNumber[] {
  const result: MaybeNumber[] = Array.from(values, (value) => (Number.isFinite(value) ? value : undefined));
  for (const [index] of marks) if (result[index] === undefined) result[index] = null;
  return result;
}

// The columns lie at any offset of the message: copied, because a typed array must begin at a multiple of its width.
function float64(bytes: Uint8Array): Float64Array {
  return new Float64Array(bytes.slice().buffer);
}

function float32(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.slice().buffer);
}

function uint32(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.slice().buffer);
}
