/** Metrics by the part of their name before the first slash. */

export interface MetricGroup {
  /** Empty for metrics without a slash. */
  name: string;
  metrics: string[];
}

/** Up to this many charts stand in one group: sections of one card each would only spread them out. */
const FEW = 8;

/** Groups in the order of their names, plain metrics first, `system` last; `wanted` restricts by name. */
export function groupMetrics(metrics: readonly string[], wanted: string): MetricGroup[] {
  const needle = wanted.toLowerCase();
  const groups = new Map<string, string[]>();
  for (const metric of [...metrics].sort((left, right) => left.localeCompare(right, undefined, { numeric: true }))) {
    if (!metric.toLowerCase().includes(needle)) continue;
    const name = groupOf(metric, metrics.length);
    groups.set(name, [...(groups.get(name) ?? []), metric]);
  }
  const rank = (name: string) => (name === "" ? 0 : name === "system" ? 2 : 1);
  return [...groups]
    .map(([name, found]) => ({ name, metrics: found }))
    .sort((left, right) => rank(left.name) - rank(right.name) || left.name.localeCompare(right.name));
}

function groupOf(metric: string, all: number): string {
  const name = metric.includes("/") ? metric.slice(0, metric.indexOf("/")) : "";
  return name !== "system" && all <= FEW ? "" : name;
}
