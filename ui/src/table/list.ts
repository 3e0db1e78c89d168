/** Lists that arrive whole and are searched and sorted in the browser: experiments, registered models, metrics of a run. */

import type { ReactNode } from "react";
import type { SortKey } from "@/lib/search";
import type { GridColumn } from "./Grid";

/** What a row is sorted by, for each column that sorts. Not-a-number comes last in both directions. */
export type SortValues<Row> = Record<string, (row: Row) => number | string>;

/** Rows with a word that contains `wanted`, in order; in the order they came where `sort` names no column that sorts. */
export function arrange<Row>(
  rows: readonly Row[],
  wanted: string,
  words: (row: Row) => readonly (string | null | undefined)[],
  sort: SortKey | null,
  values: SortValues<Row>,
): Row[] {
  const needle = wanted.toLowerCase();
  const found = rows.filter((row) => words(row).some((word) => word?.toLowerCase().includes(needle)));
  const value = sort && values[sort.column];
  if (!value) return found;
  const direction = sort.descending ? -1 : 1;
  return found.sort((left, right) => compare(value(left), value(right), direction));
}

function compare(left: number | string, right: number | string, direction: number): number {
  if (Number.isNaN(left) || Number.isNaN(right)) return Number(Number.isNaN(left)) - Number(Number.isNaN(right));
  if (typeof left === "string" && typeof right === "string") {
    return direction * left.localeCompare(right, undefined, { numeric: true });
  }
  return direction * (left < right ? -1 : left > right ? 1 : 0);
}

interface Shape<Row> {
  id: string;
  label: string;
  width: number;
  cell: (row: Row) => ReactNode;
  align?: "end";
}

/** Grid columns over rows that are all here. */
export function listColumns<Row>(
  rows: readonly Row[],
  values: SortValues<Row>,
  shapes: readonly Shape<Row>[],
): GridColumn[] {
  return shapes.map((shape) => ({
    ...shape,
    sortable: shape.id in values,
    cell: (index) => (rows[index] === undefined ? null : shape.cell(rows[index])),
  }));
}
