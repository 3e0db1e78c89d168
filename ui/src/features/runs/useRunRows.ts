/** The rows of the runs table: windows of 200 fetched as they come into sight, and again when the server says that they changed. */

import { useQueries, useQueryClient } from "@tanstack/react-query";
import { useCallback, useMemo, useRef, useState } from "react";
import { lastChange } from "@/api/changes";
import { fetchRuns } from "@/api/queries";
import type { QueryRuns } from "@/api/types";
import type { SortKey } from "@/lib/search";
import { type Arranged, arrange, Layout } from "@/lib/tree";
import { type Cell, mergeWindow, type TableWindow } from "@/lib/windows";

const WINDOW = 200;

/** Where a row stands among nested runs. */
export interface Nest {
  depth: number;
  parent: string | null;
  /** Its parent's row is right above, so nothing needs to be said. */
  under: boolean;
  /** `null` = no child in sight. */
  folded: boolean | null;
}

export interface RunRows {
  /** Runs that match. */
  total: number;
  /** Rows shown: fewer than `total` where parents are folded. */
  count: number;
  /** The run at a place of the server's order, whatever is folded. */
  at: (place: number) => string | null;
  nest: (row: number) => Nest;
  /** Some run in sight has a parent. */
  nested: boolean;
  /** Children stand under their parents. */
  tree: boolean;
  fold: (runId: string) => void;
  /** What is here. Another function whenever a cell may have changed. */
  windows: () => TableWindow[];
  /** `null` = not here yet. */
  id: (row: number) => string | null;
  /** `undefined` = not asked for yet: the column was only just chosen. */
  cell: (row: number, column: string) => Cell | undefined;
  /** Nothing was ever fetched for this filter. */
  pending: boolean;
  fetching: boolean;
  error: Error | null;
  /** A different order waits because the reader is looking at this one. */
  moved: boolean;
  showMoved: () => void;
  setVisible: (first: number, last: number) => void;
  setHold: (hold: boolean) => void;
  refetch: () => void;
  anyRunning: boolean;
  /** Why nothing matches, where the server knows. */
  hint: string | undefined;
  /** Changes whenever a cell may have. */
  version: unknown;
}

interface View {
  experimentId: string;
  filter: string;
  sort: readonly SortKey[];
  columns: readonly string[];
  deleted: boolean;
  /** Show children under their parent. */
  tree: boolean;
}

export const PARENT = "tags.mlflow.parentRunId";

/** See the module's words. While a new filter is fetched, or after it failed, the previous rows stay. */
export function useRunRows(view: View): RunRows {
  const client = useQueryClient();
  const [visible, setVisibleState] = useState<[number, number]>([0, 0]);
  const hold = useRef(false);
  const base = useMemo<QueryRuns>(
    () => ({
      experiment_ids: [view.experimentId],
      filter: view.filter,
      sort: [...view.sort],
      columns: [...view.columns],
      limit: WINDOW,
      view_type: view.deleted ? "DELETED_ONLY" : "ACTIVE_ONLY",
    }),
    [view.experimentId, view.filter, view.sort, view.columns, view.deleted],
  );
  const key = JSON.stringify(base);
  const wanted = useMemo(() => windowsIn(visible), [visible]);
  // What is on screen: kept across refreshes, so that rows move only when they may.
  const shown = useRef({ key: "", windows: new Map<number, TableWindow>(), moved: new Set<number>(), settledAt: 0 });

  const results = useQueries({
    queries: wanted.map((index) => ({
      queryKey: ["runs", base, index],
      queryFn: ({ signal }: { signal: AbortSignal }) => fetchRuns({ ...base, offset: index * WINDOW }, signal),
      retry: false,
      staleTime: 1000,
    })),
  });

  const first = results[wanted.indexOf(0)] ?? results[0];
  const state = shown.current;
  const settled = results.some((result) => result.data);
  if (state.key !== key && settled) {
    state.key = key;
    state.windows = new Map();
    state.moved = new Set();
  }
  if (state.key === key) {
    // What the reader changed is shown at once, whatever is pointed at.
    const changedAt = lastChange();
    const own = state.settledAt < changedAt && results.every((result) => result.dataUpdatedAt > changedAt);
    if (own) state.settledAt = changedAt;
    results.forEach((result, place) => {
      if (!result.data) return;
      const index = wanted[place]!;
      const merged = mergeWindow(state.windows.get(index), result.data, own || !hold.current);
      state.windows.set(index, merged.window);
      if (merged.moved) state.moved.add(index);
      else state.moved.delete(index);
    });
  }

  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const stamp = `${state.key}${results.map((result) => result.dataUpdatedAt).join()}${[...state.moved].join()}`;
  const total = [...state.windows.values()].at(-1)?.total ?? 0;
  const running = [...state.windows.values()].some((each) => each.columns["attributes.status"]?.includes("RUNNING"));

  // biome-ignore lint/correctness/useExhaustiveDependencies: `stamp` stands for the windows
  const picture = useMemo(() => draw(state.windows, total, view.tree, folded), [stamp, total, view.tree, folded]);
  const latest = useRef(picture);
  latest.current = picture;
  const id = useCallback((row: number) => latest.current.find(row)?.id ?? null, []);
  const at = useCallback(
    (place: number) => shown.current.windows.get(Math.floor(place / WINDOW))?.run_ids[place % WINDOW] ?? null,
    [],
  );
  const cell = useCallback((row: number, column: string): Cell | undefined => {
    const found = latest.current.find(row);
    const values = found?.window.columns[column];
    return values && (values[found.place] ?? null);
  }, []);
  const nest = useCallback((row: number) => latest.current.nest(row), []);
  const fold = useCallback((runId: string) => {
    setFolded((now) => {
      const next = new Set(now);
      if (!next.delete(runId)) next.add(runId);
      return next;
    });
  }, []);
  const [, force] = useState(0);
  const showMoved = useCallback(() => {
    shown.current.windows = new Map();
    shown.current.moved = new Set();
    force((count) => count + 1);
  }, []);
  const setVisible = useCallback((from: number, to: number) => {
    const range: [number, number] = [latest.current.place(from), latest.current.place(to)];
    setVisibleState((now) => (sameWindows(now, range) ? now : range));
  }, []);
  const setHold = useCallback((next: boolean) => {
    hold.current = next;
  }, []);
  return {
    total,
    count: picture.rows,
    id,
    at,
    cell,
    nest,
    nested: picture.nested,
    tree: view.tree && picture.nested,
    fold,
    windows: picture.windows,
    pending: state.windows.size === 0 && !first?.error,
    fetching: results.some((result) => result.isFetching) && state.key !== key,
    error: first?.error ?? null,
    moved: state.moved.size > 0,
    showMoved,
    setVisible,
    setHold,
    refetch: () => client.invalidateQueries({ queryKey: ["runs", base] }),
    anyRunning: running,
    hint: first?.data?.hint,
    version: picture,
  };
}

interface Picture {
  windows: () => TableWindow[];
  rows: number;
  nested: boolean;
  find: (row: number) => { id: string | null; window: TableWindow; place: number } | undefined;
  nest: (row: number) => Nest;
  /** The row's place in the server's order, near enough to know which window it needs. */
  place: (row: number) => number;
}

/** The rows as they are shown, from the windows that are here. */
function draw(
  windows: ReadonlyMap<number, TableWindow>,
  total: number,
  tree: boolean,
  folded: ReadonlySet<string>,
): Picture {
  const parents = (window: TableWindow) => (window.columns[PARENT] ?? []) as (string | null)[];
  const nested = [...windows.values()].some((window) => parents(window).some((parent) => parent));
  const arranged = new Map<number, Arranged>();
  if (tree && nested) {
    for (const [index, window] of windows) arranged.set(index, arrange(window.run_ids, parents(window), folded));
  }
  const layout = new Layout(total, WINDOW, (index) => arranged.get(index)?.places.length);
  const find = (row: number) => {
    const [index, inside] = layout.find(row);
    const window = windows.get(index);
    const place = arranged.get(index)?.places[inside] ?? inside;
    return window && { id: window.run_ids[place] ?? null, window, place };
  };
  const nest = (row: number): Nest => {
    const found = find(row);
    const parent = found ? (parents(found.window)[found.place] ?? null) : null;
    const [index, inside] = layout.find(row);
    const depth = arranged.get(index)?.depths[inside] ?? 0;
    const isParent = Boolean(tree && found?.id && parents(found.window).includes(found.id));
    return { depth, parent, under: depth > 0, folded: isParent ? folded.has(found!.id!) : null };
  };
  const place = (row: number) => {
    const [index, inside] = layout.find(row);
    return index * WINDOW + inside;
  };
  return { windows: () => [...windows.values()], rows: layout.rows, nested, find, nest, place };
}

function windowsIn([first, last]: readonly [number, number]): number[] {
  const from = Math.max(0, Math.floor((first - WINDOW / 4) / WINDOW));
  const to = Math.floor((last + WINDOW / 4) / WINDOW);
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

function sameWindows(left: readonly [number, number], right: readonly [number, number]): boolean {
  return windowsIn(left).join() === windowsIn(right).join();
}
