/** Names of table columns: `params.lr`, `metrics.loss@min`, `attributes.status`. */

export type ColumnKind = "attributes" | "params" | "metrics" | "tags";
export type Aggregate = "last" | "min" | "max" | "mean";
export const AGGREGATES: readonly Aggregate[] = ["last", "min", "max", "mean"];

export interface ColumnName {
  kind: ColumnKind;
  /** The key without kind and aggregate. */
  key: string;
  /** Only of metrics; `last` when the name says nothing. */
  aggregate: Aggregate | string;
}

const KINDS: readonly string[] = ["attributes", "params", "metrics", "tags"];

/** The parts of a column name. Keys may hold dots and `@`; only a known word behind the last `@` is an aggregate. */
export function parseColumn(name: string): ColumnName {
  const dot = name.indexOf(".");
  const kind = name.slice(0, dot);
  if (dot < 0 || !KINDS.includes(kind)) return { kind: "attributes", key: name, aggregate: "last" };
  const rest = name.slice(dot + 1);
  const at = rest.lastIndexOf("@");
  const word = rest.slice(at + 1);
  if (kind === "metrics" && at > 0 && ["last", "min", "max", "mean", "first", "count"].includes(word)) {
    return { kind, key: rest.slice(0, at), aggregate: word };
  }
  return { kind: kind as ColumnKind, key: rest, aggregate: "last" };
}

/** The inverse of `parseColumn`; `@last` is left out. */
export function columnName(kind: ColumnKind, key: string, aggregate: string = "last"): string {
  return `${kind}.${key}${kind === "metrics" && aggregate !== "last" ? `@${aggregate}` : ""}`;
}

/** A field as a filter writes it: names that are not plain words need backquotes. */
export function filterField(kind: ColumnKind, key: string): string {
  return /^[A-Za-z_][\w./-]*$/.test(key) && !key.includes("-") && !key.includes("/")
    ? `${kind}.${key}`
    : `${kind}.\`${key}\``;
}

interface CatalogueEntry {
  name: string;
  kind: string;
  runs: number;
  distinct?: number;
}

/** What a newcomer sees: parameters that differ (at most 8), then the metrics that most runs have (at most 5). */
export function defaultColumns(catalogue: readonly CatalogueEntry[]): string[] {
  const params = catalogue.filter((entry) => entry.kind === "params" && (entry.distinct ?? 2) > 1).slice(0, 8);
  const metrics = catalogue
    .filter((entry) => entry.kind === "metrics" && !/(^|\.)system\//.test(entry.name))
    .slice(0, 5);
  return [...metrics, ...params].map((entry) => entry.name);
}
