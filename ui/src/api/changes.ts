/** Everything that the pages change. Each change is said, and can be taken back where the server can. */

import { useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";
import { plural } from "@/lib/format";
import { notify } from "@/lib/notices";
import { post } from "./client";
import type { Purged, SavedView } from "./types";

const MLFLOW = "/api/2.0/mlflow";

export const renameRun = (run_id: string, run_name: string) => post(`${MLFLOW}/runs/update`, { run_id, run_name });
export const setRunNote = (run_id: string, text: string) => post(`/api/v1/runs/${run_id}/note`, { text }, "PUT");
export const setExperimentNote = (experiment_id: string, text: string) =>
  post(`/api/v1/experiments/${experiment_id}/note`, { text }, "PUT");
export const setRunTag = (run_id: string, key: string, value: string) =>
  post(`${MLFLOW}/runs/set-tag`, { run_id, key, value });
export const deleteRunTag = (run_id: string, key: string) => post(`${MLFLOW}/runs/delete-tag`, { run_id, key });
export const createExperiment = (name: string) =>
  post<{ experiment_id: string }>(`${MLFLOW}/experiments/create`, { name });
export const renameExperiment = (experiment_id: string, new_name: string) =>
  post(`${MLFLOW}/experiments/update`, { experiment_id, new_name });
export const deleteExperiment = (experiment_id: string) => post(`${MLFLOW}/experiments/delete`, { experiment_id });
export const restoreExperiment = (experiment_id: string) => post(`${MLFLOW}/experiments/restore`, { experiment_id });
export const restoreLoggedModel = (model_id: string) =>
  post(`/api/v1/logged-models/${encodeURIComponent(model_id)}/restore`, {});
/** Runs of an experiment: all that match a filter except some, or just these. */
export interface Chosen {
  experimentId: string;
  filter?: string;
  runIds?: readonly string[];
  except?: readonly string[];
}

interface Slice {
  run_ids?: string[];
  next_page_token?: string | null;
}

/** Changes all chosen runs, a slice at a time; answers those that changed. */
async function inSlices(change: string, chosen: Chosen, more: object = {}): Promise<string[]> {
  const changed: string[] = [];
  if (chosen.runIds?.length === 0) return changed;
  const { experimentId, filter = "", runIds = [], except = [] } = chosen;
  const body = { experiment_ids: [experimentId], filter, run_ids: runIds, except_run_ids: except, ...more };
  let token: string | null | undefined = "";
  do {
    const slice: Slice = await post<Slice>(`/api/v1/runs/found/${change}`, { ...body, page_token: token });
    changed.push(...(slice.run_ids ?? []));
    token = slice.next_page_token;
  } while (token);
  return changed;
}

export const deleteRuns = (chosen: Chosen) => inSlices("delete", chosen);
export const restoreRuns = (experimentId: string, runIds: readonly string[]) =>
  inSlices("restore", { experimentId, runIds });
export const tagRuns = (chosen: Chosen, key: string, value: string | null) =>
  inSlices("tag", chosen, value === null ? { remove_tags: [key] } : { set_tags: [{ key, value }] });

/** Runs that one request moves. */
const MOVED_AT_ONCE = 1000;

/** Puts runs into another experiment; of runs chosen one by one, those nested in them come along. */
export async function moveRuns(chosen: Chosen, to: string): Promise<string[]> {
  const { runIds } = chosen;
  if (!runIds) return inSlices("move", chosen, { to_experiment_id: to });
  const moved: string[] = [];
  for (let from = 0; from < runIds.length; from += MOVED_AT_ONCE) {
    const body = { run_ids: runIds.slice(from, from + MOVED_AT_ONCE), to_experiment_id: to, children: true };
    moved.push(...((await post<Slice>("/api/v1/runs/move", body)).run_ids ?? []));
  }
  return moved;
}

/** Keeps what a page shows; without a name only its address leads to it. */
export const createView = (experiment_id: string, name: string, state: object) =>
  post<{ view: SavedView }>("/api/v1/views", { experiment_id, name, state });
/** Refused when somebody else has changed the view since `revision`. */
export const updateView = (view_id: string, revision: number, state: object) =>
  post(`/api/v1/views/${view_id}`, { revision, state }, "PATCH");
export const deleteView = (view_id: string) => post(`/api/v1/views/${view_id}`, {}, "DELETE");

/** What is deleted for good: everything in the trash, or just these. */
export interface Doomed {
  experiment_ids?: string[];
  run_ids?: string[];
  model_ids?: string[];
}

/** What a purge would remove; nothing is changed. */
export const outlook = (doomed: Doomed) => post<Purged>("/api/v1/trash/purge", { ...doomed, dry_run: true });

/** Deletes for good, rows first and then their files. There is no way back. */
export async function purge(doomed: Doomed): Promise<{ items: number; size: number; kept: string[] }> {
  let [items, size] = [0, 0];
  const kept = new Set<string>();
  for (let more = true; more; ) {
    const purged = await post<Purged>("/api/v1/trash/purge", doomed);
    items += (purged.runs ?? 0) + (purged.experiments ?? 0) + (purged.logged_models ?? 0);
    for (const each of purged.kept ?? []) kept.add(each.reason);
    more = purged.more ?? false;
  }
  for (let more = true; more; ) {
    const removed = await post<{ size?: number; more?: boolean }>("/api/v1/trash/files/remove", {});
    size += removed.size ?? 0;
    more = removed.more ?? false;
  }
  return { items, size, kept: [...kept] };
}

/** Answers that no such change alters: points and files. */
const LASTING = new Set(["series", "file", "files"]);

let changedAt = 0;

/** When the reader last changed something here: what was fetched since shows it, and may move what it must. */
export function lastChange(): number {
  return changedAt;
}

interface Said<T> {
  /** Nothing is said without. */
  words?: string | ((result: T) => string);
  undo?: (result: T) => Promise<unknown>;
}

/** Makes changes, asks anew for what they touch, and says what happened. Answers whether it went well. */
export function useChange(): <T>(change: () => Promise<T>, said?: Said<T>) => Promise<boolean> {
  const client = useQueryClient();
  return useCallback(
    async (change, { words, undo } = {}) => {
      const refresh = () => {
        changedAt = Date.now();
        return client.invalidateQueries({ predicate: ({ queryKey }) => !LASTING.has(String(queryKey[0])) });
      };
      const failed = (error: unknown) => {
        notify(error instanceof Error ? error.message : String(error), { failed: true });
        refresh();
      };
      try {
        const result = await change();
        const back = undo && (() => undo(result).then(refresh, failed));
        if (words) notify(typeof words === "string" ? words : words(result), { undo: back });
      } catch (error) {
        failed(error);
        return false;
      }
      await refresh();
      return true;
    },
    [client],
  );
}

/** Moves runs to the trash, with a way back for ten seconds. */
export function useDeleteRuns(): (chosen: Chosen) => Promise<boolean> {
  const change = useChange();
  return useCallback(
    (chosen) =>
      change(() => deleteRuns(chosen), {
        words: (ids) => `${plural(ids.length, "run")} moved to the trash.`,
        undo: (ids) => restoreRuns(chosen.experimentId, ids),
      }),
    [change],
  );
}
