/** The rows of the compare page, from what the server says about the runs. */

import type { ComparedMetrics, ComparedTexts, RunComparison } from "@/api/types";
import type { Value } from "@/lib/compare";
import { fullText } from "@/lib/compare";

export const SECTIONS = ["params", "metrics", "datasets", "tags", "attributes"] as const;
export type Section = (typeof SECTIONS)[number];
/** Which of a metric's values is compared. */
export type MetricValue = "last" | "min" | "max";

export const TITLES: Record<Section, string> = {
  params: "Params",
  metrics: "Metrics",
  datasets: "Datasets",
  tags: "Tags",
  attributes: "Attributes",
};

export interface KeyRow {
  section: Section;
  key: string;
  values: readonly Value[];
  /** The steps at which metrics had these values. */
  steps?: readonly Value[];
  differs: boolean;
}

export interface Heading {
  section: Section;
  /** Keys that differ, keys in all, and keys that a search or the fold leaves in sight. */
  differing: number;
  total: number;
  shown: number;
  folded: boolean;
}

export type MatrixRow = KeyRow | Heading;

export const isHeading = (row: MatrixRow): row is Heading => "total" in row;

export interface Options {
  value: MetricValue;
  search: string;
  folded: readonly string[];
}

/** A heading for each section that any of the runs has something in, and its keys under it. */
export function matrixRows(comparison: RunComparison, options: Options): MatrixRow[] {
  const needle = options.search.toLowerCase();
  return SECTIONS.flatMap((section): MatrixRow[] => {
    const compared = comparison[section];
    const { differing, total } = count(comparison, section);
    if (!compared || total === 0) return [];
    const all = section === "metrics" ? metricRows(compared, options.value) : textRows(section, compared);
    const rows = all.filter((row) => !isName(row.section, row.key) && matches(row, needle));
    const folded = options.folded.includes(section) && !needle;
    const heading = { section, differing, total, shown: rows.length, folded };
    return [heading, ...(folded ? [] : rows)];
  });
}

/** The run's name stands over its column already. */
function isName(section: Section, key: string): boolean {
  return (section === "tags" && key === "mlflow.runName") || (section === "attributes" && key === "run_name");
}

/** Keys that differ, and all; names do not count. */
function count(comparison: RunComparison, section: Section): { differing: number; total: number } {
  const compared = comparison[section];
  const names = (compared?.keys ?? []).flatMap((key, index) =>
    isName(section, key) ? [compared?.differs?.[index]] : [],
  );
  const differing = (compared?.differing ?? 0) - names.filter(Boolean).length;
  return { differing, total: differing + (compared?.equal ?? 0) - names.filter((each) => each === false).length };
}

function matches(row: KeyRow, needle: string): boolean {
  return !needle || [row.key, ...row.values.map(fullText)].some((text) => text.toLowerCase().includes(needle));
}

function textRows(section: Section, { keys, values, differs }: ComparedTexts): KeyRow[] {
  return (keys ?? []).map((key, index) => ({
    section,
    key,
    values: values?.[index] ?? [],
    differs: differs?.[index] ?? false,
  }));
}

function metricRows(compared: ComparedMetrics, value: MetricValue): KeyRow[] {
  const [values, steps] = {
    last: [compared.last, compared.last_step],
    min: [compared.minimum, compared.minimum_step],
    max: [compared.maximum, compared.maximum_step],
  }[value];
  return (compared.keys ?? []).map((key, index) => ({
    section: "metrics",
    key,
    values: values?.[index] ?? [],
    steps: steps?.[index],
    differs: compared.differs?.[index] ?? false,
  }));
}

/** What differs, in a sentence. */
export function sayDifferences(comparison: RunComparison, runs: number): string {
  const parts = SECTIONS.filter((section) => section !== "attributes").flatMap((section) => {
    const { differing, total } = count(comparison, section);
    return differing ? [`${differing} of ${total} ${TITLES[section].toLowerCase()}`] : [];
  });
  const which = runs === 2 ? "These two runs" : `These ${runs} runs`;
  if (parts.length === 0) return `${which} have the same params, metrics, datasets and tags.`;
  const last = parts.pop();
  const words = parts.length ? `${parts.join(", ")} and ${last}` : last;
  const same = (comparison.params?.equal ?? 0) > 0 && !comparison.params?.differing;
  return `${which} differ in ${words}.${same ? " All their params are the same." : ""}`;
}

/** The row of the next (or previous) key that differs, from `from` on, around the end; −1 where there is none. */
export function nextDifference(rows: readonly MatrixRow[], from: number, step: 1 | -1): number {
  for (let count = 1; count <= rows.length; count++) {
    const at = (((from + step * count) % rows.length) + rows.length) % rows.length;
    const row = rows[at]!;
    if (!isHeading(row) && row.differs) return at;
  }
  return -1;
}
