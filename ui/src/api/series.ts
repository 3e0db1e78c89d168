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
  /** Smallest and largest value of each bucket; absent when `mean` holds the values themselves. */
  low?: MaybeNumber[];
  high?: MaybeNumber[];
  /** Finite values behind each entry; absent when that is one each. */
  counts?: Uint32Array;
  /** `[index, kind]`: 0 = NaN, 1 = +Infinity, −1 = −Infinity. */
  nonFinite: [index: number, kind: number][];
}

/** Lines on one grid. */
export interface Frame {
  exact: boolean;
  /** Steps, or milliseconds for time and relative time. Buckets are placed at their middle. */
  x: number[];
  /** Width of a bucket; 0 when exact. */
  dx: number;
  series: Series[];
  missing: [runId: string, key: string][];
}

interface WireSeries {
  run_id: string;
  key: string;
  points: number;
  mean: Uint8Array;
  min?: Uint8Array;
  max?: Uint8Array;
  count?: Uint8Array;
  total?: number;
  wide?: boolean;
  non_finite?: [number, number][];
}

interface WireFrame {
  exact: boolean;
  n: number;
  series: WireSeries[];
  x?: Uint8Array;
  x0?: number;
  dx?: number;
  missing?: [string, string][];
}

/** Lines for one chart. */
export async function querySeries(query: QuerySeries, signal?: AbortSignal): Promise<Frame> {
  return readFrame((await postForMessagePack("/api/v1/series", query, signal)) as WireFrame, query.x ?? "step");
}

/** The frame that a message means. */
export function readFrame(wire: WireFrame, axis: string): Frame {
  const dx = wire.exact ? 0 : (wire.dx ?? 1);
  const x0 = wire.x0 ?? 0;
  // Steps are whole numbers: a bucket of width 4 from 8 holds 8, 9, 10, 11 and its middle is 9.5.
  const middle = axis === "step" ? (dx - 1) / 2 : dx / 2;
  const x = wire.exact
    ? [...float64(wire.x ?? new Uint8Array(0))]
    : Array.from({ length: wire.n }, (_, index) => x0 + index * dx + middle);
  return {
    exact: wire.exact,
    x,
    dx,
    series: wire.series.map((one) => readSeries(one, wire.exact)),
    missing: wire.missing ?? [],
  };
}

function readSeries(wire: WireSeries, exact: boolean): Series {
  const marks = wire.non_finite ?? [];
  // float32 unless it would lie: where neighbouring values differ by less than it can tell apart, the server says "wide".
  const numbers = exact || wire.wide ? float64 : float32;
  const { run_id: runId, key, points } = wire;
  const base = { runId, key, points, total: Math.max(points, wire.total ?? 0), nonFinite: marks };
  const mean = column(numbers(wire.mean), marks);
  // Exact lines have a range only where several points share an x.
  if (!wire.min || !wire.max) return { ...base, mean };
  const counts = wire.count?.length ? new Uint32Array(wire.count.slice().buffer) : undefined;
  return { ...base, mean, counts, low: column(numbers(wire.min), marks), high: column(numbers(wire.max), marks) };
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
