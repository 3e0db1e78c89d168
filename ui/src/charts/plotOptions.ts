/** How uPlot draws our lines: scales, axes, marks for what no scale can hold, and the gestures. */

import type uPlot from "uplot";
import { DASHES, hueToken } from "@/lib/colours";
import { formatNumber } from "@/lib/format";
import { formatClock, formatX, RELATIVE_STEPS } from "./axis";
import { hoveredId, setHovered } from "./hover";
import type { Cursor, LinePlotProps } from "./LinePlot";
import { type Line, type MaybeNumber, middleRange } from "./lines";

/** uPlot's columns: x, then for each line low, high, raw (where it has them) and the line itself. */
export function columns({ x, lines, axis, logX, logY }: LinePlotProps): uPlot.AlignedData {
  const result: MaybeNumber[][] = [logX ? x.map(onLog) : axis === "time" ? x.map((value) => value / 1000) : x];
  const positive = (values: MaybeNumber[]) =>
    logY ? values.map((value) => (typeof value === "number" && value <= 0 ? null : value)) : values;
  for (const line of lines) {
    if (line.low && line.high) result.push(positive(line.low), positive(line.high));
    if (line.raw) result.push(positive(line.raw));
    result.push(positive(line.y));
  }
  return result as uPlot.AlignedData;
}

/** Where zero stands on a logarithmic axis: left of one. */
const ZERO = 0.5;
const onLog = (value: number) => (value > 0 ? value : ZERO);

export type Latest = React.RefObject<{ props: LinePlotProps; setCursor: (cursor: Cursor | null) => void }>;

/** Everything uPlot must know; what changes without a new picture is read late, from `latest`. */
export function options(latest: Latest, width: number, height: number): uPlot.Options {
  const { lines, axis, logX, logY } = latest.current.props;
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
      x: {
        time: axis === "time",
        distr: logX ? 3 : 1,
        range: (_u, min, max) => xRange(latest.current.props, factor, min, max),
      },
      y: { distr: logY ? 3 : 1, ...(latest.current.props.clip ? { range: () => clipped(latest.current.props) } : {}) },
    },
    axes: [
      {
        ...common,
        grid,
        size: 28,
        gap: 6,
        space: 70,
        values: (_u, ticks, _axis, _space, step) =>
          axis === "time"
            ? formatClock(ticks, step)
            : ticks.map((tick) => (tick === null ? "" : tick === ZERO ? "0" : formatX(tick, axis))),
        ...(axis === "relative" && !logX ? { incrs: RELATIVE_STEPS } : {}),
        ...(axis === "step" && !logX ? { incrs: STEP_STEPS } : {}),
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
      sync: { key: latest.current.props.group, filters: { pub: moves, sub: moves } },
      bind: {
        dblclick: () => resetZoom,
        mousedown: (u, _target, start) => (event) => (event.shiftKey ? pan(u, event, latest, factor) : start(event)),
      },
    },
    hooks: {
      ready: [(u) => listenToWheel(u, latest, factor)],
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
function xRange({ range, dx, logX }: LinePlotProps, factor: number, min: number, max: number): [number, number] {
  if (logX) return range ? [onLog(range[0]), onLog(range[1])] : min === max ? [min / 2, max * 2] : [min, max];
  if (range) return [range[0] / factor, range[1] / factor];
  if (dx > 0) return [min - dx / 2 / factor, max + dx / 2 / factor];
  return min === max ? [min - 0.5, max + 0.5] : [min, max];
}

/** The vertical axis without what lies far outside; on a logarithmic one above zero. */
function clipped({ lines, logY }: LinePlotProps): [number, number] {
  const values = lines.flatMap((line) => line.y.filter((value): value is number => typeof value === "number"));
  const [low, high] = middleRange(lines)?.range ?? [Math.min(...values), Math.max(...values)];
  if (!Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  if (logY) return [low > 0 ? low : Math.min(...values.filter((value) => value > 0), high / 10), high];
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

const moves = (type: string) => type === "mousemove" || type === "mouseleave";

/** Ctrl (or ⌘) and the wheel zoom at the cursor; without it the page scrolls. */
function listenToWheel(u: uPlot, latest: Latest, factor: number): void {
  u.over.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const [from, to] = [u.posToVal(0, "x"), u.posToVal(u.over.clientWidth, "x")];
      const at = u.posToVal(event.clientX - u.over.getBoundingClientRect().left, "x");
      const by = event.deltaY < 0 ? 0.8 : 1.25;
      latest.current.props.onZoom([(at - (at - from) * by) * factor, (at + (to - at) * by) * factor]);
    },
    { passive: false },
  );
}

/** Shift and dragging move the window; finer data is asked for when the button is let go. */
function pan(u: uPlot, event: MouseEvent, latest: Latest, factor: number): null {
  const [from, to] = [u.posToVal(0, "x"), u.posToVal(u.over.clientWidth, "x")];
  const per = (to - from) / u.over.clientWidth;
  const shifted = (now: MouseEvent): [number, number] => {
    const by = (event.clientX - now.clientX) * per;
    return [(from + by) * factor, (to + by) * factor];
  };
  const move = (now: MouseEvent) => {
    const [min, max] = shifted(now);
    u.setScale("x", { min: min / factor, max: max / factor });
  };
  const end = (now: MouseEvent) => {
    document.removeEventListener("mousemove", move);
    latest.current.props.onZoom(shifted(now));
  };
  document.addEventListener("mousemove", move);
  document.addEventListener("mouseup", end, { once: true });
  return null;
}

/** How near a line must pass for the pointer to mean it, in pixels. */
const REACH = 24;

/** The line that is nearest to the pointer. */
function lineAt(u: uPlot, lines: readonly Line[], index: number, top: number): string | null {
  let [found, best]: [string | null, number] = [null, REACH];
  for (const line of lines) {
    const value = line.y[index];
    if (typeof value !== "number") continue;
    const distance = Math.abs(u.valToPos(value, "y") - top);
    if (distance < best) [found, best] = [line.id, distance];
  }
  return found;
}

function readCursor(u: uPlot, latest: Latest): void {
  const { idx, left, top } = u.cursor;
  // Cursors of other charts come along: only the one that is pointed at (or has the keyboard) says what it shows.
  const own = u.root.matches(":hover") || u.root.closest("figure")?.matches(":focus");
  const inside = own && idx !== null && idx !== undefined && left !== undefined && left >= 0;
  const offset = u.over.offsetLeft;
  if (own && u.root.matches(":hover")) {
    setHovered(inside ? lineAt(u, latest.current.props.lines, idx, top ?? 0) : null);
  }
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

/** Draws the line that is pointed at once more, over the picture, which stays as it is. Answers whether there is such a line. */
export function drawHovered(u: uPlot, canvas: HTMLCanvasElement, { lines, logY }: LinePlotProps): boolean {
  const line = lines.length > 1 ? lines.find((each) => each.id === hoveredId()) : undefined;
  if (!line) return false;
  const [width, height] = [u.over.clientWidth, u.over.clientHeight];
  const ratio = devicePixelRatio;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const ctx = canvas.getContext("2d");
  if (!ctx) return false;
  const css = getComputedStyle(document.documentElement);
  ctx.scale(ratio, ratio);
  ctx.lineJoin = "round";
  for (const [token, size] of [
    ["--bg", 6],
    [hueToken(line.style), 3],
  ] as const) {
    ctx.strokeStyle = css.getPropertyValue(token).trim();
    ctx.lineWidth = size;
    ctx.beginPath();
    let down = false;
    line.y.forEach((value, index) => {
      if (value === undefined) return;
      if (value === null || (logY && value <= 0)) down = false;
      else {
        const [x, y] = [u.valToPos(u.data[0][index]!, "x"), u.valToPos(value, "y")];
        if (down) ctx.lineTo(x, y);
        else ctx.moveTo(x, y);
        down = true;
      }
    });
    ctx.stroke();
  }
  return true;
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
