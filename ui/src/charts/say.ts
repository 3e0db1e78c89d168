/** What a chart shows, and what it leaves out, in words. */

import type { Frame } from "@/api/series";
import { formatCount, formatNumber, plural } from "@/lib/format";
import { formatX } from "./axis";
import { type Line, middleRange } from "./lines";
import type { ChartSettings } from "./settings";

/** `1,204 of 5,000 points`, `1,024 buckets · 1,000,000 points`: how much of what was logged the picture was made from. */
export function badge(frame: Frame): string {
  const all = [...frame.series, ...frame.groups];
  const points = all.reduce((sum, line) => sum + line.points, 0);
  const total = all.reduce((sum, line) => sum + line.total, 0);
  const some =
    points === total && !frame.exact ? plural(total, "point") : `${formatCount(points)} of ${plural(total, "point")}`;
  return frame.exact ? some : `${formatCount(frame.x.length)} buckets · ${some}`;
}

/** Everything that is not in sight although it was logged. */
export function notes(frame: Frame, lines: readonly Line[], runs: number, settings: ChartSettings): string[] {
  const found: string[] = [];
  const sum = (part: (line: Line) => number) => lines.reduce((all, line) => all + part(line), 0);
  if (frame.missing.length && runs > 1) found.push(`${plural(frame.missing.length, "run")} without this metric`);
  const left = [...frame.series, ...frame.groups].reduce((all, line) => all + line.leftOut, 0);
  if (left) found.push(`${plural(left, "point")} without a place on this x axis`);
  if (frame.approximated) found.push("places on x are approximate");
  const marks = sum((line) => line.marks.length);
  if (marks) found.push(`${plural(marks, "value")} not finite, marked at the rim`);
  if (settings.log) {
    const hidden = sum((line) => line.y.filter((value) => typeof value === "number" && value <= 0).length);
    if (hidden) found.push(`${plural(hidden, "value")} ≤ 0 not on a logarithmic axis`);
  }
  const outside = settings.clip ? middleRange(lines) : null;
  if (outside?.above) found.push(`${plural(outside.above, "value")} above ▲`);
  if (outside?.below) found.push(`${plural(outside.below, "value")} below ▼`);
  return found;
}

/** The picture in a sentence. */
export function describe(
  metric: string,
  frame: Frame,
  lines: readonly Line[],
  { x, xm }: ChartSettings,
  grouped: boolean,
): string {
  let low = { value: Number.POSITIVE_INFINITY, name: "" };
  let high = { value: Number.NEGATIVE_INFINITY, name: "" };
  for (const line of lines) {
    for (const value of line.low ?? line.y)
      if (typeof value === "number" && value < low.value) low = { value, name: line.name };
    for (const value of line.high ?? line.y)
      if (typeof value === "number" && value > high.value) high = { value, name: line.name };
  }
  const [from, to] = [formatX(frame.x[0] ?? 0, x), formatX(frame.x[frame.x.length - 1] ?? 0, x)];
  const place = `${x === "step" ? "steps " : x === "metric" ? `${xm} ` : ""}${from} to ${to}`;
  const extremes = Number.isFinite(low.value)
    ? ` Lowest ${formatNumber(low.value)} (${low.name}), highest ${formatNumber(high.value)} (${high.name}).`
    : "";
  return `${metric}, ${plural(lines.length, grouped ? "group" : "run")}, ${place}.${extremes}`;
}
