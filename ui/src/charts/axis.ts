/** How places on the x axis are written. */

import { formatDuration, formatNumber, formatTime } from "@/lib/format";
import type { XAxis } from "@/lib/search";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Distances between marks of a relative time axis, in milliseconds. */
export const RELATIVE_STEPS = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 5, 10, 20, 50, 100].map((n) => n * DAY),
];

const SUFFIXES: readonly [size: number, suffix: string][] = [
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];

/** A mark on the axis: `120k`, `3m 20s`. */
export function formatX(value: number, axis: XAxis): string {
  if (axis === "time") return formatTime(value);
  if (axis === "relative") return value === 0 ? "0" : formatDuration(value);
  if (axis === "metric") return formatNumber(value);
  if (Math.abs(value) < 10_000) return formatNumber(value);
  const [size, suffix] = SUFFIXES.find(([each]) => Math.abs(value) >= each) ?? [1, ""];
  return `${formatNumber(value / size, 5)}${suffix}`;
}

/** A place as the tooltip says it: `step 1,204`, `steps 1,024–2,047`, a date, `after 3m 20s`. */
export function sayX(value: number, dx: number, axis: XAxis, metric = "x"): string {
  if (axis === "metric") return `${metric} ${formatNumber(value)}`;
  if (axis === "time") return formatTime(value);
  if (axis === "relative") return `after ${formatDuration(value)}`;
  if (dx <= 1) return `step ${formatNumber(value, 15)}`;
  const from = Math.ceil(value - (dx - 1) / 2);
  return `steps ${formatNumber(from, 15)}–${formatNumber(Math.ceil(from + dx) - 1, 15)}`;
}

/** Marks of a time axis, `step` seconds apart: clock times, with the date where a day begins and at the first mark. */
export function formatClock(seconds: readonly number[], step: number): string[] {
  let day = "";
  return seconds.map((second) => {
    const [date = "", clock = ""] = formatTime(second * 1000).split(" ");
    const words = step < 60 ? clock : clock.slice(0, 5);
    const fresh = date !== day;
    day = date;
    if (step >= 86_400) return date.slice(5);
    return fresh ? `${date.slice(5)} ${words}` : words;
  });
}
