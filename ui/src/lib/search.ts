/** Page state in the address: short, readable, forgiving. Unknown or broken values fall back to the default. */

export interface SortKey {
  column: string;
  descending: boolean;
}

export type XAxis = "step" | "time" | "relative";

export interface RunsSearch {
  /** Filter text. */
  f?: string;
  /** `-metrics.acc@max` sorts descending. */
  sort?: string;
  /** Columns; absent = the default choice. */
  cols?: string[];
  /** Selected runs. */
  sel?: string[];
  deleted?: boolean;
}

export interface ChartsSearch {
  x?: XAxis;
  /** Smoothing weight, 0 to 0.999. */
  smooth?: number;
  log?: boolean;
  /** Restricts metrics by name. */
  m?: string;
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

/** Leaves out what is not set, so that addresses stay short and equal states have equal addresses. */
function compact<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}

/** Search parameters of the runs table. */
export function runsSearch(raw: Record<string, unknown>): RunsSearch {
  const sel = list(raw.sel, 1000)?.filter((id) => /^[0-9a-f]{32}$/i.test(id));
  return compact({
    f: text(raw.f),
    sort: text(raw.sort),
    cols: list(raw.cols, 500),
    sel: sel?.length ? sel : undefined,
    deleted: raw.deleted === true || raw.deleted === 1 ? true : undefined,
  });
}

/** Search parameters of any page with line charts. */
export function chartsSearch(raw: Record<string, unknown>): ChartsSearch {
  const weight = Number(raw.smooth);
  return compact({
    x: raw.x === "time" || raw.x === "relative" ? raw.x : undefined,
    smooth: weight > 0 && weight < 1 ? weight : undefined,
    log: raw.log === true || raw.log === 1 ? true : undefined,
    m: text(raw.m),
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
