/** A chart as an SVG picture that stands for itself: title, axes, lines, bands and a legend. */

import { DASHES, HUES } from "@/lib/colours";
import { formatNumber } from "@/lib/format";
import { formatX } from "./axis";
import type { Line, MaybeNumber } from "./lines";
import type { ChartSettings } from "./settings";

/** Colours as the page has them now. */
export interface Ink {
  background: string;
  text: string;
  faint: string;
  grid: string;
  /** By the number of the hue. */
  hues: readonly string[];
  band: number;
}

export interface Picture {
  title: string;
  x: readonly number[];
  lines: readonly Line[];
  settings: ChartSettings;
  /** The part of x in sight; `null` = all of it. */
  range: readonly [number, number] | null;
  /** The part of y in sight; `null` = all of it. */
  yRange: readonly [number, number] | null;
}

const WIDTH = 960;
const HEIGHT = 420;
const BOX = { left: 70, top: 44, right: WIDTH - 20, bottom: HEIGHT - 40 };
const LEGEND_ROW = 20;
const LEGEND_WIDTH = 300;
const FEW_LINES = 40;

/** The page's colours, for the picture. */
export function pageInk(): Ink {
  const css = getComputedStyle(document.documentElement);
  const token = (name: string) => css.getPropertyValue(name).trim();
  return {
    background: token("--bg"),
    text: token("--text"),
    faint: token("--text-3"),
    grid: token("--grid-line"),
    hues: HUES.map((hue) => token(`--run-${hue}`)),
    band: Number(token("--band")),
  };
}

/** The picture as text; coordinates are coarser where there are many lines, so that it stays small. */
export function svgOf({ title, x, lines, settings, range, yRange }: Picture, ink: Ink): string {
  const across = scale(x, settings.logx, range, BOX.left, BOX.right);
  const values = lines.flatMap((line) => [...line.y, ...(line.low ?? []), ...(line.high ?? [])]);
  const up = scale(values, settings.log, yRange, BOX.bottom, BOX.top);
  const digits = lines.length > FEW_LINES ? 0 : 1;
  const columns = Math.max(1, Math.floor((WIDTH - BOX.left) / LEGEND_WIDTH));
  const height = HEIGHT + 12 + Math.ceil(lines.length / columns) * LEGEND_ROW;
  const xTicks = across.ticks.map(
    (tick) =>
      `<text x="${across.at(tick)}" y="${BOX.bottom + 18}" text-anchor="middle">${escaped(formatX(tick, settings.x))}</text>`,
  );
  const yTicks = up.ticks.map((tick) => {
    const y = up.at(tick);
    const rule = `<path d="M${BOX.left} ${y}H${BOX.right}" stroke="${ink.grid}"/>`;
    return `${rule}<text x="${BOX.left - 8}" y="${y + 4}" text-anchor="end">${formatNumber(tick)}</text>`;
  });
  const bands = lines.flatMap((line) => {
    if (!line.low || !line.high) return [];
    const d = bandPath(x, line.low, line.high, across.at, up.at, digits);
    return [`<path d="${d}" fill="${ink.hues[line.style.hue]}" fill-opacity="${ink.band}" stroke="none"/>`];
  });
  const drawn = lines.map((line) => {
    const dash = DASHES[line.style.dash]?.join(" ");
    return `<path d="${linePath(x, line.y, across.at, up.at, digits)}" stroke="${ink.hues[line.style.hue]}"${dash ? ` stroke-dasharray="${dash}"` : ""}/>`;
  });
  const legend = lines.map((line, index) => {
    const [left, top] = [
      BOX.left + (index % columns) * LEGEND_WIDTH,
      HEIGHT + 12 + Math.floor(index / columns) * LEGEND_ROW,
    ];
    const dash = DASHES[line.style.dash]?.join(" ");
    const sample = `<path d="M${left} ${top - 4}h18" stroke="${ink.hues[line.style.hue]}" stroke-width="2.5"${dash ? ` stroke-dasharray="${dash}"` : ""}/>`;
    return `${sample}<text x="${left + 26}" y="${top}">${escaped(line.name)}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="Inter, system-ui, sans-serif" font-size="12" fill="${ink.faint}">`,
    `<rect width="100%" height="100%" fill="${ink.background}"/>`,
    `<text x="${BOX.left}" y="26" font-size="15" font-weight="600" fill="${ink.text}">${escaped(title)}</text>`,
    `<clipPath id="box"><rect x="${BOX.left}" y="${BOX.top}" width="${BOX.right - BOX.left}" height="${BOX.bottom - BOX.top}"/></clipPath>`,
    ...xTicks,
    ...yTicks,
    `<g clip-path="url(#box)" fill="none" stroke-width="1.5" stroke-linejoin="round">`,
    ...bands,
    ...drawn,
    "</g>",
    ...legend,
    "</svg>",
  ].join("\n");
}

interface Scale {
  at: (value: number) => number;
  ticks: number[];
}

function scale(
  values: readonly MaybeNumber[],
  log: boolean,
  range: readonly [number, number] | null,
  from: number,
  to: number,
): Scale {
  const usable = values.filter((value): value is number => typeof value === "number" && (!log || value > 0));
  let [low, high] = range ?? extent(usable);
  if (log) low = Math.max(low, extent(usable)[0]);
  if (low === high) [low, high] = log ? [low / 2, high * 2] : [low - 0.5, high + 0.5];
  const place = log ? Math.log10 : (value: number) => value;
  const [first, size] = [place(low), place(high) - place(low)];
  const at = (value: number) =>
    round(from + ((place(Math.max(value, log ? low : value)) - first) / size) * (to - from), 1);
  return { at, ticks: log ? powers(low, high) : nice(low, high) };
}

function extent(values: readonly number[]): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [0, 1];
}

/** About six round numbers in a range. */
export function nice(low: number, high: number): number[] {
  const rough = (high - low) / 6;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * ([1, 2, 5, 10].find((factor) => factor * unit >= rough) ?? 10);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, index) =>
    Number(((first + index) * step).toPrecision(12)),
  );
}

/** Powers of ten in a range; its ends where there are none. */
function powers(low: number, high: number): number[] {
  const first = Math.ceil(Math.log10(low));
  const count = Math.floor(Math.log10(high)) - first + 1;
  if (count < 2) return [low, high];
  const every = Math.ceil(count / 8);
  return Array.from({ length: Math.ceil(count / every) }, (_, index) => 10 ** (first + index * every));
}

function round(value: number, digits: number): number {
  const unit = 10 ** digits;
  return Math.round(value * unit) / unit;
}

type Place = (value: number) => number;

/** Where a picture has many lines: of so many pixels next to each other the lowest and the highest point are kept. */
const COARSE = 3;

function coarse(places: readonly number[], y: readonly MaybeNumber[]): MaybeNumber[] {
  const kept: MaybeNumber[] = y.map((value) => (value === null ? null : undefined));
  let [low, high, column] = [-1, -1, Number.NaN];
  const keep = () => {
    for (const index of [low, high]) if (index >= 0) kept[index] = y[index];
  };
  y.forEach((value, index) => {
    if (typeof value !== "number") return;
    const at = Math.floor(places[index]! / COARSE);
    if (at !== column) {
      keep();
      [low, high, column] = [index, index, at];
    }
    if (value < (y[low] as number)) low = index;
    if (value > (y[high] as number)) high = index;
  });
  keep();
  return kept;
}

/** Relative moves, points on the same pixel left out; broken where the line is. */
function linePath(x: readonly number[], y: readonly MaybeNumber[], at: Place, up: Place, digits: number): string {
  let path = "";
  let last: [number, number] | null = null;
  const drawn = digits === 0 ? coarse(x.map(at), y) : y;
  drawn.forEach((value, index) => {
    if (value === null) last = null;
    if (typeof value !== "number") return;
    const point: [number, number] = [round(at(x[index]!), digits), round(up(value), digits)];
    if (!last) path += `M${point[0]} ${point[1]}`;
    else {
      const [right, down] = [round(point[0] - last[0], digits), round(point[1] - last[1], digits)];
      if (right === 0 && down === 0) return;
      path += `l${right}${down < 0 ? "" : " "}${down}`;
    }
    last = point;
  });
  return path;
}

function bandPath(
  x: readonly number[],
  low: readonly MaybeNumber[],
  high: readonly MaybeNumber[],
  at: Place,
  up: Place,
  digits: number,
): string {
  const there = x
    .map((_, index) => index)
    .filter((index) => typeof low[index] === "number" && typeof high[index] === "number");
  if (there.length < 2) return "";
  const point = (values: readonly MaybeNumber[]) => (index: number) =>
    `${round(at(x[index]!), digits)} ${round(up(values[index] as number), digits)}`;
  return `M${there.map(point(high)).join("L")}L${there.reverse().map(point(low)).join("L")}Z`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
