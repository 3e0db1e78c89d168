/** The rows of the runs table: windows of 200 fetched as they come into sight, refreshed while something runs. */

import { useQueries, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { fetchRuns, LIVE_MS } from "@/api/queries";
import type { QueryRuns } from "@/api/types";
import type { SortKey } from "@/lib/search";
import { type Cell, mergeWindow, type TableWindow } from "@/lib/windows";

const WINDOW = 200;

export interface RunRows {
  total: number;
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
  /** Changes whenever a cell may have. */
  version: unknown;
}

interface View {
  experimentId: string;
  filter: string;
  sort: readonly SortKey[];
  columns: readonly string[];
  deleted: boolean;
}

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
  const shown = useRef({ key: "", windows: new Map<number, TableWindow>(), moved: new Set<number>() });
  const [anyRunning, setAnyRunning] = useState(false);

  const results = useQueries({
    queries: wanted.map((index) => ({
      queryKey: ["runs", base, index],
      queryFn: ({ signal }: { signal: AbortSignal }) => fetchRuns({ ...base, offset: index * WINDOW }, signal),
      refetchInterval: anyRunning ? LIVE_MS : (false as const),
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
    results.forEach((result, place) => {
      if (!result.data) return;
      const index = wanted[place]!;
      const merged = mergeWindow(state.windows.get(index), result.data, !hold.current);
      state.windows.set(index, merged.window);
      if (merged.moved) state.moved.add(index);
      else state.moved.delete(index);
    });
  }

  const stamp = `${state.key}${results.map((result) => result.dataUpdatedAt).join()}${[...state.moved].join()}`;
  const total = [...state.windows.values()].at(-1)?.total ?? 0;
  const running = [...state.windows.values()].some((each) => each.columns["attributes.status"]?.includes("RUNNING"));
  useEffect(() => setAnyRunning(running), [running]);

  const id = useCallback(
    (row: number) => shown.current.windows.get(Math.floor(row / WINDOW))?.run_ids[row % WINDOW] ?? null,
    [],
  );
  const cell = useCallback((row: number, column: string): Cell | undefined => {
    const values = shown.current.windows.get(Math.floor(row / WINDOW))?.columns[column];
    return values && (values[row % WINDOW] ?? null);
  }, []);
  const [, force] = useState(0);
  const showMoved = useCallback(() => {
    shown.current.windows = new Map();
    shown.current.moved = new Set();
    force((count) => count + 1);
  }, []);
  const setVisible = useCallback((from: number, to: number) => {
    setVisibleState((now) => (sameWindows(now, [from, to]) ? now : [from, to]));
  }, []);
  const setHold = useCallback((next: boolean) => {
    hold.current = next;
  }, []);
  return {
    total,
    id,
    cell,
    pending: state.windows.size === 0 && !first?.error,
    fetching: results.some((result) => result.isFetching) && state.key !== key,
    error: first?.error ?? null,
    moved: state.moved.size > 0,
    showMoved,
    setVisible,
    setHold,
    refetch: () => client.invalidateQueries({ queryKey: ["runs", base] }),
    anyRunning: running,
    version: stamp,
  };
}

function windowsIn([first, last]: readonly [number, number]): number[] {
  const from = Math.max(0, Math.floor((first - WINDOW / 4) / WINDOW));
  const to = Math.floor((last + WINDOW / 4) / WINDOW);
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

function sameWindows(left: readonly [number, number], right: readonly [number, number]): boolean {
  return windowsIn(left).join() === windowsIn(right).join();
}
