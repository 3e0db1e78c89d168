/** What the server says has changed, as questions to ask again: those alone that the change touches. */

import type { Query, QueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { onChanges, onConnection } from "./events";
import type { Changes, QueryRuns, QuerySeries } from "./types";

/** Changes that come within this time are answered together. */
const TOGETHER_MS = 700;

type RunChange = NonNullable<Changes["runs"]>[number];

/** Whether an answer may look different after some changes. */
export function isTouched(queryKey: readonly unknown[], changes: Changes): boolean {
  if (changes.reset) return true;
  const {
    runs = [],
    experiments = [],
    registered_models: models = [],
    logged_models: logged = [],
    other = [],
  } = changes;
  const [kind, what] = queryKey;
  if (kind === "series") return runs.some((run) => movesLine(run, what as QuerySeries));
  if (kind === "runs" || kind === "groups") return runs.some((run) => isInTable(run, what as QueryRuns));
  // Counting all runs again for every point of a running one would keep a server busy for a picture of 24 pixels.
  if (kind === "histograms") return runs.some((run) => !onlyMetrics(run) && isInTable(run, what as QueryRuns));
  if (kind === "lives") return runs.some((run) => (what as string[]).includes(run.run_id));
  if (kind === "run order") return runs.some((run) => has(run, "created", "lifecycle", "purged"));
  if (kind === "columns") return runs.some((run) => has(run, "metrics", "params", "tags", "created", "purged"));
  if (kind === "compare") return runs.some((run) => (what as string[]).includes(run.run_id));
  if (kind === "run") return runs.some((run) => run.run_id === what) || logged.length + models.length > 0;
  if (kind === "files") return runs.some((run) => has(run, "models", "status"));
  if (kind === "experiments") return experiments.length + runs.length > 0;
  if (kind === "experiment") return experiments.some((each) => each.experiment_id === what);
  if (kind === "models" || kind === "model") return models.length > 0;
  if (kind === "logged-model") return logged.some((each) => each.model_id === what);
  if (kind === "trash") return other.includes("trash") || runs.some((run) => has(run, "lifecycle", "purged"));
  return kind === "views" && other.includes("views");
}

function has(run: RunChange, ...parts: RunChange["changed"]): boolean {
  return parts.some((part) => run.changed.includes(part));
}

function onlyMetrics(run: RunChange): boolean {
  return run.changed.every((part) => part === "metrics");
}

/** A chart of a part of x stays as it is: the reader looks at something. */
function movesLine(run: RunChange, query: QuerySeries): boolean {
  if (query.x_range || !has(run, "metrics", "purged") || !query.run_ids.includes(run.run_id)) return false;
  const asked = query.x_metric ? [...query.metrics, query.x_metric] : query.metrics;
  return !run.metrics || run.metrics.some((metric) => asked.includes(metric));
}

function isInTable(run: RunChange, { experiment_ids: experiments }: QueryRuns): boolean {
  return !experiments?.length || !run.experiment_id || has(run, "lifecycle") || experiments.includes(run.experiment_id);
}

/** Keeps the pages up to date; answers how to stop. What is not on a page now is asked for when it is opened again. */
export function listen(client: QueryClient): () => void {
  let waiting: Changes[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const refresh = () => {
    timer = undefined;
    const heard = waiting;
    waiting = [];
    const predicate = ({ queryKey }: Query) => heard.some((changes) => isTouched(queryKey, changes));
    // An answer that is on its way is let through: a busy run would else be asked for without ever being shown.
    void client.invalidateQueries({ predicate }, { cancelRefetch: false });
  };
  const stop = onChanges((changes) => {
    waiting.push(changes);
    timer ??= setTimeout(refresh, TOGETHER_MS);
  });
  return () => {
    clearTimeout(timer);
    stop();
  };
}

let connected = true;

/** False while the server can not be heard: what is on the page may be old. */
export function useConnected(): boolean {
  return useSyncExternalStore(
    (changed) =>
      onConnection((now) => {
        connected = now;
        changed();
      }),
    () => connected,
  );
}
