/**
 * Lines on a canvas: the only file that knows uPlot. All lines share one x column, as the server sends them; where a line
 * stands for buckets its smallest and largest values are drawn too, so that no spike is lost.
 */

import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { DASHES, hueToken, type RunStyle } from "@/lib/colours";
import { formatNumber } from "@/lib/format";
import type { XAxis } from "@/lib/search";
import { useTheme } from "@/lib/theme";
import { formatClock, formatX, RELATIVE_STEPS } from "./axis";
import styles from "./LinePlot.module.css";
import { Tooltip } from "./Tooltip";

export type MaybeNumber = number | null | undefined;

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
  /** `[index, kind]`: 0 = NaN, 1 = +Infinity, −1 = −Infinity. */
  marks: readonly [index: number, kind: number][];
}

interface LinePlotProps {
  /** What the figure shows, in a sentence. */
  label: string;
  x: number[];
  /** Width of a bucket in units of x; 0 for single points. */
  dx: number;
  lines: readonly Line[];
  axis: XAxis;
  logY: boolean;
  height: number;
  /** The part of x in sight; `null` = all of it. */
  range: [number, number] | null;
  onZoom: (range: [number, number] | null) => void;
}

export interface Cursor {
  index: number;
  left: number;
  top: number;
}

/** See the module's words. Drag zooms, double-click resets; focused: ← → move the cursor, + − zoom, 0 resets. */
export function LinePlot(props: LinePlotProps) {
  const { x, lines, axis, logY, height, range, onZoom } = props;
  const { dark } = useTheme();
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [cursor, setCursor] = useState<Cursor | null>(null);
  const [width, setWidth] = useState(0);
  const latest = useRef({ props, setCursor });
  latest.current = { props, setCursor };

  const data = useMemo(() => columns(x, lines, axis, logY), [x, lines, axis, logY]);
  // A new picture only when what is drawn changes in kind; new values alone go into the one that stands.
  const shape = JSON.stringify([
    lines.map((line) => [line.id, line.style, Boolean(line.raw), Boolean(line.low)]),
    axis,
    logY,
    dark,
  ]);

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(Math.floor(element.clientWidth)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const ready = width > 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: `shape` stands for the lines; sizes and data have effects of their own
  useEffect(() => {
    const element = box.current;
    if (!element || !ready) return;
    const made = new uPlot(options(latest, width, height), data, element);
    plot.current = made;
    return () => {
      plot.current = null;
      made.destroy();
    };
  }, [shape, ready]);

  useEffect(() => {
    if (ready) plot.current?.setSize({ width, height });
  }, [ready, width, height]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new range moves the scale although the data stays
  useEffect(() => {
    plot.current?.setData(data, true);
  }, [data, range]);

  const onKeyDown = (event: React.KeyboardEvent) => {
    const u = plot.current;
    if (!u || x.length === 0 || event.ctrlKey || event.metaKey) return;
    const at = cursor?.index ?? 0;
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      const next = Math.max(0, Math.min(x.length - 1, at + (event.key === "ArrowRight" ? 1 : -1)));
      u.setCursor({ left: u.valToPos(data[0][next]!, "x"), top: u.over.clientHeight / 2 });
    } else if (event.key === "+" || event.key === "-") {
      onZoom(scaled(x, range, x[at]!, event.key === "+" ? 0.5 : 2));
    } else if (event.key === "0") onZoom(null);
    else if (event.key === "Escape") u.setCursor({ left: -10, top: -10 });
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: the same
    <figure className={styles.figure} aria-label={props.label} tabIndex={0} onKeyDown={onKeyDown} style={{ height }}>
      <div ref={box} className={styles.box} data-plot="" />
      {cursor && <Tooltip x={x} dx={props.dx} lines={lines} axis={axis} cursor={cursor} width={width} />}
    </figure>
  );
}

/** A window around `centre`, `factor` as wide as now, inside the data. */
function scaled(x: number[], range: [number, number] | null, centre: number, factor: number): [number, number] | null {
  const all: [number, number] = [x[0]!, x[x.length - 1]!];
  const [from, to] = range ?? all;
  const half = ((to - from) * factor) / 2;
  return factor > 1 && !range ? null : [centre - half, centre + half];
}

/** uPlot's columns: x, then for each line low, high, raw (where it has them) and the line itself. */
function columns(x: number[], lines: readonly Line[], axis: XAxis, logY: boolean): uPlot.AlignedData {
  const result: MaybeNumber[][] = [axis === "time" ? x.map((value) => value / 1000) : x];
  const positive = (values: MaybeNumber[]) =>
    logY ? values.map((value) => (typeof value === "number" && value <= 0 ? null : value)) : values;
  for (const line of lines) {
    if (line.low && line.high) result.push(positive(line.low), positive(line.high));
    if (line.raw) result.push(positive(line.raw));
    result.push(positive(line.y));
  }
  return result as uPlot.AlignedData;
}

type Latest = React.RefObject<{ props: LinePlotProps; setCursor: (cursor: Cursor | null) => void }>;

function options(latest: Latest, width: number, height: number): uPlot.Options {
  const { lines, axis, logY } = latest.current.props;
  const css = getComputedStyle(document.documentElement);
  const token = (name: string) => css.getPropertyValue(name).trim();
  const factor = axis === "time" ? 1000 : 1;
  const series: uPlot.Series[] = [{}];
  const bands: uPlot.Band[] = [];
  const resetZoom = () => {
    latest.current.props.onZoom(null);
    return null;
  };
  const thin = lines.length > 100 ? 1 : 1.5;
  for (const line of lines) {
    const colour = token(hueToken(line.style));
    const edge = { stroke: alpha(colour, 0.5), width: 1, points: { show: false } };
    if (line.low && line.high) {
      bands.push({ series: [series.length + 1, series.length], fill: alpha(colour, Number(token("--band"))) });
      series.push({ ...edge }, { ...edge });
    }
    if (line.raw) series.push({ stroke: alpha(colour, 0.28), width: 1, points: { show: false } });
    series.push({
      stroke: colour,
      width: thin,
      dash: [...(DASHES[line.style.dash] ?? [])],
      points: { size: 5, width: 0, fill: colour, stroke: colour, filter: lonely },
    });
  }
  const common = { stroke: token("--text-3"), font: `11px ${token("--font")}`, ticks: { show: false } };
  const grid = { stroke: token("--grid-line"), width: 1 };
  return {
    width,
    height,
    series,
    bands,
    legend: { show: false },
    padding: [10, 12, 0, 0],
    scales: {
      x: { time: axis === "time", range: (_u, min, max) => xRange(latest.current.props, factor, min, max) },
      y: logY ? { distr: 3 } : {},
    },
    axes: [
      {
        ...common,
        grid,
        size: 28,
        gap: 6,
        space: 70,
        values: (_u, ticks, _axis, _space, step) =>
          axis === "time" ? formatClock(ticks, step) : ticks.map((tick) => formatX(tick, axis)),
        ...(axis === "relative" ? { incrs: RELATIVE_STEPS } : {}),
        ...(axis === "step" ? { incrs: STEP_STEPS } : {}),
      },
      {
        ...common,
        grid,
        gap: 6,
        size: (_u, ticks) => 16 + 6.4 * Math.max(3, ...(ticks ?? []).map((tick) => tick.length)),
        values: (_u, ticks) => ticks.map((tick) => (tick === null ? "" : formatNumber(tick))),
      },
    ],
    cursor: {
      y: false,
      points: { size: 7 },
      drag: { x: true, y: false, setScale: false },
      bind: { dblclick: () => resetZoom },
    },
    hooks: {
      setCursor: [(u) => readCursor(u, latest)],
      setSelect: [(u) => readSelection(u, latest, factor)],
      draw: [(u) => drawMarks(u, latest.current.props.lines, token)],
    },
  };
}

/** Points with a gap on both sides: no line shows them, so they are drawn although there is no room for all points. */
function lonely(u: uPlot, line: number, show: boolean): number[] | null {
  if (show) return null;
  const found: number[] = [];
  let [last, alone, place] = [false, false, -1];
  const close = () => {
    if (alone) found.push(place);
    [last, alone] = [false, false];
  };
  u.data[line]!.forEach((value, index) => {
    if (value === null) close();
    else if (value !== undefined) [alone, last, place] = [!last, true, index];
  });
  close();
  return found.length ? found : null;
}

const STEP_STEPS = Array.from({ length: 18 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();

/** The part of x in sight; buckets are drawn at their middle and reach half their width further. */
function xRange({ range, dx }: LinePlotProps, factor: number, min: number, max: number): [number, number] {
  if (range) return [range[0] / factor, range[1] / factor];
  if (dx > 0) return [min - dx / 2 / factor, max + dx / 2 / factor];
  return min === max ? [min - 0.5, max + 0.5] : [min, max];
}

function readCursor(u: uPlot, latest: Latest): void {
  const { idx, left, top } = u.cursor;
  const inside = idx !== null && idx !== undefined && left !== undefined && left >= 0;
  const offset = u.over.offsetLeft;
  latest.current.setCursor(inside ? { index: idx, left: left + offset, top: top ?? 0 } : null);
}

function readSelection(u: uPlot, latest: Latest, factor: number): void {
  const { left, width } = u.select;
  if (width < 4) return;
  const from = u.posToVal(left, "x") * factor;
  const to = u.posToVal(left + width, "x") * factor;
  u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  latest.current.props.onZoom([from, to]);
}

/** Values that no scale can hold stand on the rim: ▲ +Infinity at the top, ▼ −Infinity and ✕ NaN at the bottom. */
function drawMarks(u: uPlot, lines: readonly Line[], token: (name: string) => string): void {
  const { ctx, bbox } = u;
  const size = 4 * devicePixelRatio;
  ctx.save();
  for (const line of lines) {
    ctx.strokeStyle = token(hueToken(line.style));
    ctx.fillStyle = ctx.strokeStyle;
    ctx.lineWidth = 1.5 * devicePixelRatio;
    for (const [index, kind] of line.marks) {
      const value = u.data[0][index];
      if (value === undefined) continue;
      const x = u.valToPos(value, "x", true);
      if (x < bbox.left - 1 || x > bbox.left + bbox.width + 1) continue;
      const y = kind === 1 ? bbox.top + size + 1 : bbox.top + bbox.height - size - 1;
      ctx.beginPath();
      if (kind === 0) {
        ctx.moveTo(x - size, y - size);
        ctx.lineTo(x + size, y + size);
        ctx.moveTo(x + size, y - size);
        ctx.lineTo(x - size, y + size);
        ctx.stroke();
      } else {
        ctx.moveTo(x, y - kind * size);
        ctx.lineTo(x + size, y + kind * size);
        ctx.lineTo(x - size, y + kind * size);
        ctx.fill();
      }
    }
  }
  ctx.restore();
}

/** `#rrggbb` with an opacity. */
function alpha(colour: string, opacity: number): string {
  return `${colour}${Math.round(opacity * 255)
    .toString(16)
    .padStart(2, "0")}`;
}
