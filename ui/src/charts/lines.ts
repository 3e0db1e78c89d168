/** What a chart draws, from what the server sent. */

import type { Frame, GroupSeries, Series } from "@/api/series";
import type { RunStyle } from "@/lib/colours";
import { gapsOf, withGaps } from "@/lib/gaps";
import type { Spread } from "@/lib/search";

export type MaybeNumber = number | null | undefined;

export interface ChartRun {
  id: string;
  name: string;
  style: RunStyle;
}

/** Runs that are drawn as one line. */
export interface ChartGroup extends ChartRun {
  runIds: readonly string[];
}

export interface Line {
  id: string;
  name: string;
  style: RunStyle;
  /** What is drawn: the values, or the smoothed ones. */
  y: MaybeNumber[];
  /** The unsmoothed values, drawn faintly; absent when nothing is smoothed. */
  raw?: MaybeNumber[];
  low?: MaybeNumber[];
  high?: MaybeNumber[];
  /** Runs behind each entry of a group. */
  runs?: Uint32Array;
  /** `[index, kind]`: 0 = NaN, 1 = +Infinity, −1 = −Infinity. */
  marks: readonly [index: number, kind: number][];
}

/** Lines in the order of the runs; runs without anything to draw are left out. */
export function runLines(frame: Frame, runs: readonly ChartRun[], band: boolean): Line[] {
  const found = new Map(frame.series.map((series) => [series.runId, series]));
  return runs.flatMap((run) => {
    const series = found.get(run.id);
    if (!series || !isDrawn(series)) return [];
    const { low, high, counts } = series;
    return [line(frame, run, series, counts, band ? { low, high } : {})];
  });
}

/** Lines of groups: the mean, with the spread of the runs around it. */
export function groupLines(frame: Frame, groups: readonly ChartGroup[], spread: Spread): Line[] {
  const found = new Map(frame.groups.map((series) => [series.name, series]));
  return groups.flatMap((group) => {
    const series = found.get(group.id);
    if (!series || !isDrawn(series)) return [];
    return [{ ...line(frame, group, series, undefined, around(series, spread)), runs: series.runs }];
  });
}

function isDrawn({ nonFinite, mean }: Series | GroupSeries): boolean {
  return nonFinite.length > 0 || mean.some((value) => typeof value === "number");
}

function line(
  frame: Frame,
  { id, name, style }: ChartRun,
  series: Series | GroupSeries,
  counts: Uint32Array | undefined,
  { low, high }: { low?: MaybeNumber[]; high?: MaybeNumber[] },
): Line {
  // Single points are always connected: only buckets can be empty.
  const gaps = frame.exact ? [] : gapsOf(series.mean, counts);
  const broken = (values: MaybeNumber[]) => withGaps(values, gaps);
  return {
    id,
    name,
    style,
    y: broken(series.smooth ?? series.mean),
    raw: series.smooth && broken(series.mean),
    low: low && broken(low),
    high: high && broken(high),
    marks: series.nonFinite,
  };
}

/** The edges of a group's band. The range is that of the values; others lie around the line that is drawn. */
function around(series: GroupSeries, spread: Spread): { low?: MaybeNumber[]; high?: MaybeNumber[] } {
  if (spread === "none") return {};
  if (spread === "range") return { low: series.low, high: series.high };
  const half = spread === "std" ? series.std : series.ci95;
  const middle = series.smooth ?? series.mean;
  const edge = (side: number) =>
    middle.map((value, index) => (typeof value === "number" ? value + side * (half[index] ?? 0) : value));
  return { low: edge(-1), high: edge(1) };
}

/** The part of the vertical axis that holds the middle 98% of what is drawn, and how many values lie outside. */
export function middleRange(lines: readonly Line[]): { range: [number, number]; above: number; below: number } | null {
  const values = lines
    .flatMap((each) => [...each.y, ...(each.low ?? []), ...(each.high ?? [])])
    .filter((value): value is number => typeof value === "number")
    .sort((left, right) => left - right);
  if (values.length < 3) return null;
  const [low, high] = [values[Math.floor(values.length * 0.01)]!, values[Math.ceil(values.length * 0.99) - 1]!];
  if (low === high) return null;
  const room = (high - low) * 0.05;
  const range: [number, number] = [low - room, high + room];
  const above = values.filter((value) => value > range[1]).length;
  const below = values.filter((value) => value < range[0]).length;
  return above + below ? { range, above, below } : null;
}
