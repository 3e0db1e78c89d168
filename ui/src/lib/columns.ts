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
  distinct?: number | null;
  minimum?: number | string | null;
  maximum?: number | string | null;
}

export const MOST_PARAMS = 8;
export const MOST_METRICS = 5;

/**
 * What a newcomer sees: the params that differ, then the metrics that most runs have. Metrics that are the same in every run
 * (the last epoch) come after those that tell runs apart, system metrics are left out.
 */
export function defaultColumns(catalogue: readonly CatalogueEntry[]): string[] {
  const params = catalogue.filter((entry) => entry.kind === "params" && (entry.distinct ?? 2) > 1);
  const metrics = catalogue.filter((entry) => entry.kind === "metrics" && !/^metrics\.system\//.test(entry.name));
  return [
    ...byRuns(params).slice(0, MOST_PARAMS),
    ...byRuns(metrics)
      .sort((left, right) => Number(isConstant(left)) - Number(isConstant(right)))
      .slice(0, MOST_METRICS),
  ].map((entry) => entry.name);
}

function byRuns(entries: readonly CatalogueEntry[]): CatalogueEntry[] {
  return [...entries].sort((left, right) => right.runs - left.runs);
}

function isConstant(entry: CatalogueEntry): boolean {
  return entry.runs > 1 && typeof entry.minimum === "number" && entry.minimum === entry.maximum;
}

/** Distinct values that a grouping may have to be worth offering. */
const MOST_VALUES = 100;

/** Columns that runs may be taken together by: params and tags with few values, then the attributes that say who and how. */
export function groupableColumns(catalogue: readonly CatalogueEntry[]): string[] {
  const fits = ({ kind, name, distinct }: CatalogueEntry) =>
    (kind === "params" || (kind === "tags" && !name.startsWith("tags.mlflow."))) && (distinct ?? 2) <= MOST_VALUES;
  const differing = catalogue.filter((entry) => fits(entry) && (entry.distinct ?? 2) > 1);
  return [...byRuns(differing).map((entry) => entry.name), "attributes.status", "attributes.user_id"];
}

/** What a column is called where there is little room: `lr`, `val/acc max`. */
export function columnLabel(name: string): string {
  const { kind, key, aggregate } = parseColumn(name);
  return kind === "metrics" && aggregate !== "last" ? `${key} ${aggregate}` : key;
}

/** Metrics that may be an axis when there are very many. */
const MOST_AXES = 300;

/** Columns that runs may be placed by: params and metrics that differ. */
export function axisColumns(catalogue: readonly CatalogueEntry[]): string[] {
  const metrics = byRuns(catalogue.filter((entry) => entry.kind === "metrics" && !isConstant(entry)));
  const params = byRuns(catalogue.filter((entry) => entry.kind === "params" && (entry.distinct ?? 2) > 1));
  return [...params, ...metrics].slice(0, MOST_AXES).map((entry) => entry.name);
}

/** What a newcomer sees: the params that differ, and a result, by name rather an accuracy or a loss than a learning rate. */
export function presetAxes(columns: readonly string[], view: "scatter" | "parallel"): string[] {
  const metrics = columns.filter((column) => column.startsWith("metrics."));
  const result =
    metrics.find((name) => /acc|auc|f1|score|reward/i.test(name)) ?? metrics.find((name) => /loss|err/i.test(name));
  const params = columns.filter((column) => column.startsWith("params."));
  const last = result ?? metrics[0];
  const ends = last ? [last] : [];
  if (view === "parallel") return [...params.slice(0, 6), ...ends];
  const first = params.find((name) => /lr|learning/i.test(name)) ?? params[0] ?? metrics.find((name) => name !== last);
  return [...(first ? [first] : []), ...ends];
}
