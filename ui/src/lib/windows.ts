/** Windows of a live table: new values are shown at once, a new order only when that moves nothing under the reader. */

export type Cell = string | number | null;

export interface TableWindow {
  run_ids: string[];
  columns: Record<string, Cell[]>;
  total: number;
  /** When nothing matches: a key of the filter that no run has, and keys like it. */
  hint?: string;
}

/**
 * What to show after a refresh: `latest` when the rows are the same or may move, else the held rows with the newest values.
 * `moved` says that a different order waits.
 */
export function mergeWindow(
  held: TableWindow | undefined,
  latest: TableWindow,
  mayMove: boolean,
): { window: TableWindow; moved: boolean } {
  if (!held || mayMove || sameRows(held, latest)) return { window: latest, moved: false };
  const place = new Map(latest.run_ids.map((id, index) => [id, index]));
  const columns: Record<string, Cell[]> = {};
  for (const [name, values] of Object.entries(latest.columns)) {
    columns[name] = held.run_ids.map((id, index) => {
      const at = place.get(id);
      return at === undefined ? (held.columns[name]?.[index] ?? null) : (values[at] ?? null);
    });
  }
  return { window: { run_ids: held.run_ids, columns, total: latest.total }, moved: true };
}

function sameRows(left: TableWindow, right: TableWindow): boolean {
  return left.run_ids.length === right.run_ids.length && left.run_ids.every((id, index) => id === right.run_ids[index]);
}
