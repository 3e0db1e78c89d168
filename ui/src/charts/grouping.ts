/** Runs that share values, as one line each. */

import { DASHES, HUES } from "@/lib/colours";
import { parseColumn } from "@/lib/columns";
import { sameValue, type Value } from "@/lib/compare";
import type { ChartGroup } from "./lines";

interface Grouped {
  id: string;
  /** Of the columns that runs are grouped by. */
  values: readonly Value[];
}

/** Groups in the order of their values, numbers as numbers; each has a style by its place. */
export function groupRuns(runs: readonly Grouped[], by: readonly string[]): ChartGroup[] {
  const groups: { values: readonly Value[]; runIds: string[] }[] = [];
  for (const run of runs) {
    const found = groups.find((group) => group.values.every((value, place) => sameValue(value, run.values[place])));
    if (found) found.runIds.push(run.id);
    else groups.push({ values: run.values, runIds: [run.id] });
  }
  groups.sort((left, right) => compareValues(left.values, right.values));
  return groups.map(({ values, runIds }, place) => {
    const name = values.map((value, at) => nameOf(value, by.length > 1 ? by[at] : undefined)).join(", ");
    const style = { hue: place % HUES.length, dash: Math.floor(place / HUES.length) % DASHES.length };
    return { id: name, name: `${name} (${runIds.length})`, style, runIds };
  });
}

function nameOf(value: Value, column: string | undefined): string {
  const word = value === null || value === undefined ? "none" : String(value);
  return column ? `${parseColumn(column).key} ${word}` : word;
}

function compareValues(left: readonly Value[], right: readonly Value[]): number {
  for (let place = 0; place < left.length; place++) {
    const [a, b] = [left[place] ?? null, right[place] ?? null];
    if (a === null || b === null) {
      if (a !== b) return a === null ? 1 : -1;
      continue;
    }
    const order = String(a).localeCompare(String(b), undefined, { numeric: true });
    if (order) return order;
  }
  return 0;
}
