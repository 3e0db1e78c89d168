/** How charts draw: for all of a page, and for single cards where they say something else. */

import type { QuerySeries } from "@/api/types";
import type { ChartsSearch, Spread, XAxis } from "@/lib/search";
import type { ChartGroup, ChartRun } from "./lines";

export interface ChartSettings {
  x: XAxis;
  xm: string | undefined;
  smooth: number;
  log: boolean;
  logx: boolean;
  band: boolean;
  clip: boolean;
  spread: Spread;
}

/** What a card may say for itself; absent = as the page does. */
export type CardSettings = Partial<Omit<ChartSettings, "spread">>;

/** The page's settings, from the address. */
export function pageSettings(search: ChartsSearch): ChartSettings {
  return {
    x: search.x ?? "step",
    xm: search.xm,
    smooth: search.smooth ?? 0,
    log: search.log ?? false,
    // Points in time have no place on a logarithmic axis.
    logx: (search.logx ?? false) && search.x !== "time",
    band: search.band ?? true,
    clip: search.clip ?? false,
    spread: search.spread ?? "std",
  };
}

/** The page's settings where the card says nothing. */
export function cardSettings(page: ChartSettings, card: CardSettings | undefined): ChartSettings {
  const mixed = { ...page, ...card };
  return { ...mixed, logx: mixed.logx && mixed.x !== "time" };
}

/** A card's settings without those in which it agrees with its page; `undefined` when it agrees in all. */
export function toOwn(page: ChartSettings, own: CardSettings): CardSettings | undefined {
  const names = (Object.keys(own) as (keyof CardSettings)[]).filter((name) => own[name] !== page[name]);
  return names.length ? (Object.fromEntries(names.map((name) => [name, own[name]])) as CardSettings) : undefined;
}

/** What the page says, as the address keeps it: defaults are left out. */
export function toSearch(change: CardSettings & { spread?: Spread }): Partial<ChartsSearch> {
  const search: Partial<ChartsSearch> = {};
  if ("x" in change) {
    Object.assign(search, { x: change.x === "step" ? undefined : change.x, xm: change.xm, zoom: undefined });
  }
  if ("smooth" in change) search.smooth = change.smooth || undefined;
  if ("log" in change) search.log = change.log || undefined;
  if ("logx" in change) search.logx = change.logx || undefined;
  if ("band" in change) search.band = change.band ? undefined : false;
  if ("clip" in change) search.clip = change.clip || undefined;
  if ("spread" in change) search.spread = change.spread === "std" ? undefined : change.spread;
  return search;
}

const BUCKETS = 1024;

/** What a card asks the server. */
export function seriesRequest(
  metric: string,
  runs: readonly ChartRun[],
  groups: readonly ChartGroup[] | undefined,
  settings: ChartSettings,
  zoom: [number, number] | null,
): QuerySeries {
  const { x, xm, smooth, logx } = settings;
  return {
    run_ids: runs.map((run) => run.id),
    metrics: [metric],
    x,
    width: BUCKETS,
    ...(x === "metric" ? { x_metric: xm } : {}),
    ...(zoom ? { x_range: zoom } : {}),
    ...(logx ? { scale: "log" as const } : {}),
    ...(smooth > 0 ? { smoothing: { kind: "ema" as const, amount: smooth } } : {}),
    ...(groups ? { grouping: { groups: groups.map(({ id, runIds }) => ({ name: id, run_ids: [...runIds] })) } } : {}),
  };
}
