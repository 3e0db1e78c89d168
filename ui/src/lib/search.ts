/** Page state in the address: short, readable, forgiving. Unknown or broken values fall back to the default. */

export interface SortKey {
  column: string;
  descending: boolean;
}

export type XAxis = "step" | "time" | "relative" | "metric";
export type Spread = "std" | "ci95" | "range" | "none";

export interface RunsSearch {
  /** Filter text. */
  f?: string;
  /** `-metrics.acc@max` sorts descending. */
  sort?: string;
  /** Columns; absent = the default choice. */
  cols?: string[];
  /** Selected runs. */
  sel?: string[];
  /** All runs that match are selected, except those in `sel`. */
  every?: boolean;
  /** Columns whose values put runs into groups. */
  by?: string[];
  /** A saved view that the page should show; it goes when it does. */
  v?: string;
  deleted?: boolean;
}

/** What one chart says for itself; absent = as the page does. */
export interface CardSearch {
  x?: XAxis;
  xm?: string;
  smooth?: number;
  log?: boolean;
  logx?: boolean;
  band?: boolean;
  clip?: boolean;
}

export interface ChartsSearch {
  x?: XAxis;
  /** The metric that is x, where `x` is "metric". */
  xm?: string;
  /** Smoothing weight, 0 to 0.99999. */
  smooth?: number;
  log?: boolean;
  /** A logarithmic x axis. */
  logx?: boolean;
  /** False hides the range of buckets and groups. */
  band?: boolean;
  /** The vertical axis shows the middle 98% of the values; what lies outside is counted. */
  clip?: boolean;
  /** Restricts metrics by name. */
  m?: string;
  /** Settings of single charts, by metric. */
  cards?: Record<string, CardSearch>;
  /** The part of x that all charts show. */
  zoom?: [number, number];
  /** Columns whose values put runs into groups. */
  by?: string[];
  /** What the band of a group shows; absent = the standard deviation. */
  spread?: Spread;
  /** How many runs are shown. */
  n?: number;
  /** Another way to look at the runs; absent = lines. */
  view?: "scatter" | "parallel";
  /** Axes of the scatter plot (x, y, colour) or of the parallel coordinates. */
  axes?: string[];
}

/** Runs that are compared side by side. */
export const MOST_COMPARED = 50;

export interface CompareSearch extends ChartsSearch {
  runs?: string[];
  /** The run that others are measured against; absent = the first. */
  base?: string;
  /** Equal keys too; on the charts, metrics that only some have. */
  all?: boolean;
  /** Runs down, keys across. */
  flip?: boolean;
  /** Restricts keys by name and value. */
  q?: string;
  value?: "min" | "max";
  /** Folded sections. */
  fold?: string[];
  tab?: "charts";
}

function text(value: unknown): string | undefined {
  if (typeof value === "string" && value !== "") return value;
  return typeof value === "number" ? String(value) : undefined;
}

function list(value: unknown, most: number): string[] | undefined {
  const items = typeof value === "string" ? value.split(",") : value;
  if (!Array.isArray(items)) return undefined;
  return items.filter((item): item is string => typeof item === "string" && item !== "").slice(0, most);
}

function flag(value: unknown): true | undefined {
  return value === true || value === 1 ? true : undefined;
}

function runIds(value: unknown, most: number): string[] | undefined {
  const ids = list(value, most)?.filter((id) => /^[0-9a-f]{32}$/i.test(id));
  return ids?.length ? ids : undefined;
}

/** Leaves out what is not set, so that addresses stay short and equal states have equal addresses. */
function compact<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}

/** Search parameters of the runs table. */
export function runsSearch(raw: Record<string, unknown>): RunsSearch {
  return compact({
    f: text(raw.f),
    sort: text(raw.sort),
    cols: list(raw.cols, 500),
    sel: runIds(raw.sel, 1000),
    every: flag(raw.every),
    by: list(raw.by, 5),
    v: typeof raw.v === "string" && /^[0-9A-Za-z]{10}$/.test(raw.v) ? raw.v : undefined,
    deleted: flag(raw.deleted),
  });
}

/** Runs that charts show unless something else was chosen, and at most. */
export const CHARTED = 20;
export const MOST_CHARTED = 1000;

/** Search parameters of any page with line charts. */
export function chartsSearch(raw: Record<string, unknown>): ChartsSearch {
  const weight = Number(raw.smooth);
  const count = Math.round(Number(raw.n));
  const xm = text(raw.xm);
  return compact({
    x: oneOf(raw.x, ["time", "relative", ...(xm ? (["metric"] as const) : [])] as const),
    xm: raw.x === "metric" ? xm : undefined,
    smooth: weight > 0 && weight < 1 ? weight : undefined,
    log: flag(raw.log),
    logx: flag(raw.logx),
    band: raw.band === false || raw.band === 0 ? false : undefined,
    clip: flag(raw.clip),
    m: text(raw.m),
    cards: cards(raw.cards),
    zoom: range(raw.zoom),
    by: list(raw.by, 5),
    spread: oneOf(raw.spread, ["ci95", "range", "none"] as const),
    n: count > 0 && count !== CHARTED ? Math.min(count, MOST_CHARTED) : undefined,
    view: oneOf(raw.view, ["scatter", "parallel"] as const),
    axes: list(raw.axes, 12),
  });
}

const MOST_CARDS = 200;

/** Settings of single charts; what is no setting is left out. */
function cards(value: unknown): Record<string, CardSearch> | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const found = Object.entries(value).flatMap(([metric, raw]): [string, CardSearch][] => {
    const card = cardSearch(raw);
    return card ? [[metric, card]] : [];
  });
  return found.length ? Object.fromEntries(found.slice(0, MOST_CARDS)) : undefined;
}

function cardSearch(raw: unknown): CardSearch | undefined {
  if (typeof raw !== "object" || raw === null) return undefined;
  const { x, xm, smooth, ...rest } = raw as Record<string, unknown>;
  const metric = x === "metric" ? text(xm) : undefined;
  const switches = ["log", "logx", "band", "clip"] as const;
  const card: CardSearch = compact({
    x: oneOf(x, ["step", "time", "relative", ...(metric ? (["metric"] as const) : [])] as const),
    xm: metric,
    smooth: typeof smooth === "number" && smooth >= 0 && smooth < 1 ? smooth : undefined,
    ...Object.fromEntries(switches.map((name) => [name, typeof rest[name] === "boolean" ? rest[name] : undefined])),
  });
  return Object.keys(card).length ? card : undefined;
}

function oneOf<T extends string>(value: unknown, words: readonly T[]): T | undefined {
  return words.find((word) => word === value);
}

/** Two numbers, the smaller first. */
function range(value: unknown): [number, number] | undefined {
  const parts = typeof value === "string" ? value.split(",") : value;
  if (!Array.isArray(parts) || parts.length !== 2) return undefined;
  const [from, to] = parts.map(Number) as [number, number];
  return from < to ? [from, to] : undefined;
}

/** Search parameters of the compare page. */
export function compareSearch(raw: Record<string, unknown>): CompareSearch {
  const runs = runIds(raw.runs, MOST_COMPARED);
  return {
    ...chartsSearch(raw),
    ...compact({
      runs: runs && [...new Set(runs)],
      base: runIds([raw.base], 1)?.[0],
      all: flag(raw.all),
      flip: flag(raw.flip),
      q: text(raw.q),
      value: oneOf(raw.value, ["min", "max"] as const),
      fold: list(raw.fold, 10),
      tab: oneOf(raw.tab, ["charts"] as const),
    }),
  };
}

export interface TrashSearch {
  /** Absent = runs. */
  kind?: "experiment" | "logged_model";
  q?: string;
}

/** Search parameters of the trash. */
export function trashSearch(raw: Record<string, unknown>): TrashSearch {
  return compact({
    kind: oneOf(raw.kind, ["experiment", "logged_model"] as const),
    q: text(raw.q),
  });
}

/** `-metrics.loss@min` → column and direction. */
export function parseSort(sort: string | undefined): SortKey | null {
  if (!sort) return null;
  return sort.startsWith("-") ? { column: sort.slice(1), descending: true } : { column: sort, descending: false };
}

/** The inverse of `parseSort`. */
export function formatSort(key: SortKey | null): string | undefined {
  return key ? `${key.descending ? "-" : ""}${key.column}` : undefined;
}

/** What a click on a header means next: descending, ascending, back to the default order. */
export function nextSort(current: SortKey | null, column: string): SortKey | null {
  if (current?.column !== column) return { column, descending: true };
  return current.descending ? { column, descending: false } : null;
}

const PLAIN = /^[^\s"[\]{}]*$/;

/**
 * Search parameters to text: lists as `a,b`, plain words as they are, everything else as JSON. Keeps addresses readable
 * (`?sort=-metrics.loss&x=time`) where JSON quoting would not. Lists come back as text and are split where they are checked.
 */
export function stringifySearch(search: Record<string, unknown>): string {
  const parts = Object.entries(search)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([key, value]) => `${encode(key)}=${encode(valueText(value))}`);
  return parts.length ? `?${parts.join("&")}` : "";
}

function valueText(value: unknown): string {
  if (Array.isArray(value)) return listText(value);
  if (typeof value === "string") return needsQuotes(value) ? JSON.stringify(value) : value;
  return JSON.stringify(value);
}

/** Plain items with commas between them; as JSON where that would be read as something else. */
function listText(items: unknown[]): string {
  const plain =
    items.length > 0 && items.every((item) => typeof item === "string" && item !== "" && !item.includes(","));
  const text = items.join(",");
  return plain && !needsQuotes(text) ? text : JSON.stringify(items);
}

/** A text that would be read back as something else keeps its quotes. */
function needsQuotes(value: string): boolean {
  return /^["[{]/.test(value) || /^(true|false|null)$/.test(value) || isNumberText(value);
}

function isNumberText(value: string): boolean {
  return value.trim() !== "" && PLAIN.test(value) && !Number.isNaN(Number(value));
}

function encode(value: string): string {
  return encodeURIComponent(value)
    .replace(/%2F/g, "/")
    .replace(/%3A/g, ":")
    .replace(/%2C/g, ",")
    .replace(/%40/g, "@")
    .replace(/%20/g, "+");
}

/** The inverse of `stringifySearch`. */
export function parseSearch(textual: string): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [key, value] of new URLSearchParams(textual)) values[key] = read(value);
  return values;
}

function read(value: string): unknown {
  if (/^["[{]/.test(value) || /^(true|false|null)$/.test(value) || isNumberText(value)) {
    try {
      return JSON.parse(value);
    } catch {
      return value;
    }
  }
  return value;
}
