/** Charts in sections, by the part of the metrics' names before the first slash. */

export interface Metric {
  key: string;
  /** No shown run has more than one point of it: nothing develops, so its chart comes last. */
  single: boolean;
}

export interface MetricGroup {
  /** Empty for metrics that stand alone. */
  name: string;
  metrics: string[];
}

/** Up to this many charts stand in one group: sections of one card each would only spread them out. */
const FEW = 6;
export const SINGLE = "Single values";
const RANKS: Record<string, number> = { "": 0, system: 2, [SINGLE]: 3 };

/**
 * Sections in the order of their names, metrics without a prefix or alone with theirs first, `system` and single values
 * last; `wanted` restricts by name.
 */
export function groupMetrics(metrics: readonly Metric[], wanted: string): MetricGroup[] {
  const needle = wanted.toLowerCase();
  const sorted = [...metrics].sort((left, right) => left.key.localeCompare(right.key, undefined, { numeric: true }));
  const curves = sorted.filter((metric) => !metric.single);
  const sizes = new Map<string, number>();
  for (const { key } of curves) sizes.set(prefix(key), (sizes.get(prefix(key)) ?? 0) + 1);
  const section = ({ key, single }: Metric) => {
    if (single) return SINGLE;
    const name = prefix(key);
    return name !== "system" && (curves.length <= FEW || sizes.get(name) === 1) ? "" : name;
  };
  const groups = new Map<string, string[]>();
  for (const metric of sorted) {
    if (!metric.key.toLowerCase().includes(needle)) continue;
    groups.set(section(metric), [...(groups.get(section(metric)) ?? []), metric.key]);
  }
  const rank = (name: string) => RANKS[name] ?? 1;
  return [...groups]
    .map(([name, found]) => ({ name, metrics: found }))
    .sort((left, right) => rank(left.name) - rank(right.name) || left.name.localeCompare(right.name));
}

function prefix(key: string): string {
  return key.includes("/") ? key.slice(0, key.indexOf("/")) : "";
}
