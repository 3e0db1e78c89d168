/** Metrics by the part of their name before the first slash. */

export interface MetricGroup {
  /** Empty for metrics without a slash. */
  name: string;
  metrics: string[];
}

/** Groups in the order of their names, plain metrics first, `system` last; `wanted` restricts by name. */
export function groupMetrics(metrics: readonly string[], wanted: string): MetricGroup[] {
  const needle = wanted.toLowerCase();
  const groups = new Map<string, string[]>();
  for (const metric of [...metrics].sort((left, right) => left.localeCompare(right, undefined, { numeric: true }))) {
    if (!metric.toLowerCase().includes(needle)) continue;
    const name = metric.includes("/") ? metric.slice(0, metric.indexOf("/")) : "";
    groups.set(name, [...(groups.get(name) ?? []), metric]);
  }
  const rank = (name: string) => (name === "" ? 0 : name === "system" ? 2 : 1);
  return [...groups]
    .map(([name, found]) => ({ name, metrics: found }))
    .sort((left, right) => rank(left.name) - rank(right.name) || left.name.localeCompare(right.name));
}
