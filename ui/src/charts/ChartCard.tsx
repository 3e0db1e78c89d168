/** One metric of some runs as a card: says how many points it shows, zooms into finer data, keeps its last picture. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Maximize2, Minimize2, RotateCcw } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { seriesQuery } from "@/api/queries";
import type { Frame, Series } from "@/api/series";
import { IconButton } from "@/components/Button";
import { ErrorState, ProgressLine } from "@/components/States";
import type { RunStyle } from "@/lib/colours";
import { formatCount, formatNumber, plural } from "@/lib/format";
import { gapsOf, withGaps } from "@/lib/gaps";
import type { XAxis } from "@/lib/search";
import { type Carry, carryBefore, smooth } from "@/lib/smoothing";
import { formatX } from "./axis";
import styles from "./ChartCard.module.css";
import { type Line, LinePlot } from "./LinePlot";

export interface ChartRun {
  id: string;
  name: string;
  style: RunStyle;
}

export interface ChartSettings {
  x: XAxis;
  smooth: number;
  log: boolean;
}

interface ChartCardProps {
  metric: string;
  runs: readonly ChartRun[];
  settings: ChartSettings;
  live: boolean;
}

const HEIGHT = 220;
const TALL = 460;
const BUCKETS = 1024;

export function ChartCard({ metric, runs, settings, live }: ChartCardProps) {
  const [zoom, setZoom] = useState<[number, number] | null>(null);
  const [tall, setTall] = useState(false);
  const [log, setLog] = useState<boolean | null>(null);
  const card = useRef<HTMLElement>(null);
  const near = useNear(card);
  const logY = log ?? settings.log;
  const ids = useMemo(() => runs.map((run) => run.id), [runs]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a range in steps means nothing on a time axis
  useEffect(() => setZoom(null), [settings.x]);
  const query = useQuery({
    ...seriesQuery(
      { run_ids: ids, metrics: [metric], x: settings.x, width: BUCKETS, ...(zoom ? { x_range: zoom } : {}) },
      live && !zoom,
    ),
    enabled: near && ids.length > 0,
    placeholderData: keepPreviousData,
  });
  const frame = query.data;
  // Smoothing begins at a run's first point, also when that is not in sight: the whole line says what came before.
  const whole = useQuery({
    ...seriesQuery({ run_ids: ids, metrics: [metric], x: settings.x, width: BUCKETS }, false),
    enabled: near && zoom !== null && settings.smooth > 0,
  });
  const before = zoom ? whole.data : undefined;
  const lines = useMemo(
    () => (frame ? toLines(frame, before, runs, settings.smooth) : []),
    [frame, before, runs, settings.smooth],
  );
  const height = tall ? TALL : HEIGHT;
  return (
    <section className={styles.card} ref={card} data-tall={tall} data-metric={metric}>
      <header className={styles.head}>
        <h3 title={metric}>{metric}</h3>
        {frame && <span className={styles.badge}>{badge(frame)}</span>}
        <span className={styles.tools}>
          {zoom && (
            <IconButton label="Reset zoom (double-click)" onClick={() => setZoom(null)}>
              <RotateCcw size={14} strokeWidth={1.5} />
            </IconButton>
          )}
          <IconButton label="Use a log scale for y" pressed={logY} onClick={() => setLog(!logY)}>
            <span className={styles.word}>log</span>
          </IconButton>
          <IconButton label={tall ? "Smaller" : "Larger"} pressed={tall} onClick={() => setTall(!tall)}>
            {tall ? <Minimize2 size={14} strokeWidth={1.5} /> : <Maximize2 size={14} strokeWidth={1.5} />}
          </IconButton>
        </span>
      </header>
      <ProgressLine active={query.isFetching && query.isPlaceholderData} />
      {query.error && <ErrorState compact error={query.error} retry={() => query.refetch()} />}
      <div className={styles.body} style={{ minHeight: height }}>
        {near && frame && lines.length > 0 && (
          <LinePlot
            label={describe(metric, frame, lines, settings.x)}
            x={frame.x}
            dx={frame.dx}
            lines={lines}
            axis={settings.x}
            logY={logY}
            height={height}
            range={zoom}
            onZoom={setZoom}
          />
        )}
        {frame && lines.length === 0 && <p className={styles.none}>No points {zoom ? "in this window" : "yet"}.</p>}
      </div>
      <Notes frame={frame} lines={lines} runs={runs.length} logY={logY} />
    </section>
  );
}

/** What the picture leaves out, in words. */
function Notes({
  frame,
  lines,
  runs,
  logY,
}: {
  frame: Frame | undefined;
  lines: readonly Line[];
  runs: number;
  logY: boolean;
}) {
  if (!frame) return null;
  const notes: string[] = [];
  if (frame.missing.length && runs > 1) notes.push(`${plural(frame.missing.length, "run")} without this metric`);
  const marks = lines.reduce((sum, line) => sum + line.marks.length, 0);
  if (marks) notes.push(`${plural(marks, "value")} not finite, marked at the rim`);
  if (logY) {
    const hidden = lines.reduce(
      (sum, line) => sum + line.y.filter((value) => typeof value === "number" && value <= 0).length,
      0,
    );
    if (hidden) notes.push(`${plural(hidden, "value")} ≤ 0 not on a logarithmic axis`);
  }
  return notes.length ? <p className={styles.notes}>{notes.join(" · ")}</p> : null;
}

/** `1,204 of 5,000 points`, `1,024 buckets · 1,000,000 points`: how much of what was logged the picture was made from. */
function badge(frame: Frame): string {
  const sum = (part: (series: Series) => number) => frame.series.reduce((all, series) => all + part(series), 0);
  const [points, total] = [sum((series) => series.points), sum((series) => series.total)];
  const some =
    points === total && !frame.exact ? plural(total, "point") : `${formatCount(points)} of ${plural(total, "point")}`;
  return frame.exact ? some : `${formatCount(frame.x.length)} buckets · ${some}`;
}

function toLines(frame: Frame, before: Frame | undefined, runs: readonly ChartRun[], weight: number): Line[] {
  const found = new Map(frame.series.map((series) => [series.runId, series]));
  const lines: Line[] = [];
  for (const run of runs) {
    const series = found.get(run.id);
    if (!series) continue;
    const { mean, counts, low, high, nonFinite } = series;
    if (nonFinite.length === 0 && !mean.some((value) => typeof value === "number")) continue;
    // Single points are always connected: only buckets can be empty.
    const gaps = frame.exact ? [] : gapsOf(mean, counts);
    const raw = withGaps(mean, gaps);
    const carry = before && weight > 0 ? carryInto(frame, before, run.id, weight) : undefined;
    lines.push({
      id: run.id,
      name: run.name,
      style: run.style,
      y: weight > 0 ? smooth(raw, weight, counts, carry) : raw,
      raw: weight > 0 ? raw : undefined,
      low: low && withGaps(low, gaps),
      high: high && withGaps(high, gaps),
      marks: nonFinite,
    });
  }
  return lines;
}

/** What a run's points before the window leave to its smoothed line. */
function carryInto(frame: Frame, before: Frame, runId: string, weight: number): Carry | undefined {
  const series = before.series.find((each) => each.runId === runId);
  if (!series || frame.x.length === 0) return undefined;
  return carryBefore(frame.x[0]! - frame.dx / 2, before.x, before.dx, series.mean, weight, series.counts);
}

/** The picture in a sentence. */
function describe(metric: string, frame: Frame, lines: readonly Line[], axis: XAxis): string {
  let low = { value: Number.POSITIVE_INFINITY, name: "" };
  let high = { value: Number.NEGATIVE_INFINITY, name: "" };
  for (const line of lines) {
    for (const value of line.low ?? line.y)
      if (typeof value === "number" && value < low.value) low = { value, name: line.name };
    for (const value of line.high ?? line.y)
      if (typeof value === "number" && value > high.value) high = { value, name: line.name };
  }
  const place = `${axis === "step" ? "steps " : ""}${formatX(frame.x[0] ?? 0, axis)} to ${formatX(frame.x[frame.x.length - 1] ?? 0, axis)}`;
  const extremes = Number.isFinite(low.value)
    ? ` Lowest ${formatNumber(low.value)} (${low.name}), highest ${formatNumber(high.value)} (${high.name}).`
    : "";
  return `${metric}, ${plural(lines.length, "run")}, ${place}.${extremes}`;
}

/** True while the element is on or near the screen: charts far away hold no canvas and ask nothing. */
function useNear(element: React.RefObject<HTMLElement | null>): boolean {
  const [near, setNear] = useState(false);
  useEffect(() => {
    if (!element.current) return;
    const observer = new IntersectionObserver(([entry]) => setNear(entry?.isIntersecting ?? false), {
      rootMargin: "240px",
    });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [element]);
  return near;
}
