/** Every question that the pages ask, as TanStack Query options: one key and one fetch each. */

import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { runOrder } from "@/lib/colours";
import { type FileOwner, fileUrl, get, getBytes, post } from "./client";
import { querySeries } from "./series";
import type {
  ColumnCatalogue,
  Experiment,
  ExperimentSummary,
  GetHistograms,
  GroupRuns,
  GroupTable,
  Histograms,
  LoggedModel,
  QueryRuns,
  QuerySeries,
  RegisteredModelPage,
  RegistryRow,
  RunComparison,
  RunFiles,
  RunLife,
  RunOverview,
  RunTable,
  SavedView,
  Trash,
  TrashItem,
} from "./types";

type Sparse<T> = { [K in keyof T]?: T[K] };

export const experimentsQuery = queryOptions({
  queryKey: ["experiments"],
  queryFn: async ({ signal }) => {
    const reply = await get<{ experiments?: Sparse<ExperimentSummary>[] }>("/api/v1/experiments", {}, signal);
    return (reply.experiments ?? []).map((row) => ({
      run_count: 0,
      running_count: 0,
      lost_count: 0,
      tags: {},
      ...row,
    })) as ExperimentSummary[];
  },
});

export const experimentQuery = (experimentId: string) =>
  queryOptions({
    queryKey: ["experiment", experimentId],
    queryFn: async ({ signal }) => {
      const query = { experiment_id: experimentId };
      return (await get<{ experiment: Experiment }>("/api/2.0/mlflow/experiments/get", query, signal)).experiment;
    },
    staleTime: 60_000,
  });

export const columnsQuery = (experimentIds: readonly string[], q = "", limit = 500) =>
  queryOptions({
    queryKey: ["columns", experimentIds, q, limit],
    queryFn: async ({ signal }) => {
      const query = { experiment_ids: experimentIds, q, limit };
      const reply = await get<Sparse<ColumnCatalogue>>("/api/v1/columns", query, signal);
      return { columns: [], total: 0, ...reply } as ColumnCatalogue;
    },
    placeholderData: keepPreviousData,
    staleTime: 5_000,
  });

/** A window of runs; fields at their default are put back. */
export async function fetchRuns(query: QueryRuns, signal?: AbortSignal): Promise<RunTable> {
  const reply = await post<Sparse<RunTable>>("/api/v1/runs/query", query, "POST", signal);
  return {
    run_ids: reply.run_ids ?? [],
    columns: reply.columns ?? {},
    total: reply.total ?? 0,
    ...(reply.hint ? { hint: reply.hint } : {}),
  };
}

export const runsQuery = (query: QueryRuns) =>
  queryOptions({ queryKey: ["runs", query], queryFn: ({ signal }) => fetchRuns(query, signal) });

/** Names, states and experiments of runs, wherever they are, deleted ones too. */
export const identitiesQuery = (runIds: readonly string[]) =>
  runsQuery({
    filter: `attributes.run_id IN (${runIds.map((id) => `'${id}'`).join(", ")})`,
    columns: ["run_name", "status", "experiment_id", "lifecycle_stage"].map((name) => `attributes.${name}`),
    limit: Math.max(1, runIds.length),
    view_type: "ALL",
  });

/** Keys of a section that one comparison gives. */
const MOST_KEYS = 5000;

export const compareQuery = (runIds: readonly string[], everything: boolean) =>
  queryOptions({
    queryKey: ["compare", runIds, everything],
    queryFn: ({ signal }) => {
      const body = { run_ids: runIds, differences_only: !everything, limit: MOST_KEYS };
      return post<RunComparison>("/api/v1/runs/compare", body, "POST", signal);
    },
    staleTime: 5_000,
  });

/** How many runs of an experiment have a style by their number; older ones have one by their id. */
const NUMBERED = 1000;

export const runOrderQuery = (experimentId: string) =>
  queryOptions({
    queryKey: ["run order", experimentId],
    queryFn: async ({ signal }) => {
      const sort = [{ column: "attributes.start_time", descending: true }];
      const query = { experiment_ids: [experimentId], sort, columns: [], limit: NUMBERED, view_type: "ALL" as const };
      const { run_ids, total } = await fetchRuns(query, signal);
      return runOrder(run_ids, total);
    },
    staleTime: 30_000,
  });

export const overviewQuery = (runId: string) =>
  queryOptions({
    queryKey: ["run", runId],
    queryFn: async ({ signal }) => {
      const reply = await get<Sparse<RunOverview>>(`/api/v1/runs/${encodeURIComponent(runId)}/overview`, {}, signal);
      return { metrics: [], children: [], model_versions: [], ...reply } as unknown as RunOverview;
    },
  });

/** How often running runs are asked whether they are still there. */
const LIVES_MS = 30_000;

/** Which of these running runs are lost. */
export const livesQuery = (runIds: readonly string[]) =>
  queryOptions({
    queryKey: ["lives", runIds],
    queryFn: async ({ signal }) =>
      (await post<{ runs?: RunLife[] }>("/api/v1/runs/lives", { run_ids: runIds }, "POST", signal)).runs ?? [],
    enabled: runIds.length > 0,
    refetchInterval: LIVES_MS,
    staleTime: LIVES_MS,
    retry: false,
  });

export const seriesQuery = (query: QuerySeries) =>
  queryOptions({
    queryKey: ["series", query],
    queryFn: ({ signal }) => querySeries(query, signal),
    placeholderData: keepPreviousData,
  });

/** Files and folders directly under `path`; 10,000 at most. */
export const filesQuery = (owner: FileOwner, path: string) =>
  queryOptions({
    queryKey: ["files", owner, path],
    queryFn: async ({ signal }) => {
      const files: RunFiles["files"] = [];
      let token: string | undefined;
      do {
        const reply = await listFiles(owner, path, token, signal);
        files.push(...(reply.files ?? []));
        token = reply.next_page_token ?? undefined;
      } while (token && files.length < 10_000);
      return files;
    },
  });

function listFiles(owner: FileOwner, path: string, token: string | undefined, signal: AbortSignal) {
  if (owner.kind === "run") {
    const query = { run_id: owner.id, path: path || undefined, page_token: token };
    return get<Sparse<RunFiles>>("/api/2.0/mlflow/artifacts/list", query, signal);
  }
  const folder = `/api/2.0/mlflow/logged-models/${encodeURIComponent(owner.id)}/artifacts/directories`;
  const query = { artifact_directory_path: path || undefined, page_token: token };
  return get<Sparse<RunFiles>>(folder, query, signal);
}

export const fileQuery = (owner: FileOwner, path: string, most: number) =>
  queryOptions({
    queryKey: ["file", owner, path, most],
    queryFn: ({ signal }) => getBytes(fileUrl(owner, path), most, signal),
    staleTime: 30_000,
    gcTime: 60_000,
  });

export const loggedModelQuery = (modelId: string) =>
  queryOptions({
    queryKey: ["logged-model", modelId],
    queryFn: async ({ signal }) => {
      const path = `/api/2.0/mlflow/logged-models/${encodeURIComponent(modelId)}`;
      return (await get<{ model: LoggedModel }>(path, {}, signal)).model;
    },
    staleTime: 30_000,
  });

export const modelsQuery = queryOptions({
  queryKey: ["models"],
  queryFn: async ({ signal }) => {
    const reply = await get<{ models?: Sparse<RegistryRow>[] }>("/api/v1/models", {}, signal);
    return (reply.models ?? []).map((row) => ({ versions: 0, aliases: {}, tags: {}, ...row })) as RegistryRow[];
  },
});

export const modelQuery = (name: string) =>
  queryOptions({
    queryKey: ["model", name],
    queryFn: async ({ signal }) => {
      const reply = await get<{ model: Sparse<RegistryRow>; versions?: RegisteredModelPage["versions"] }>(
        `/api/v1/models/${encodeURIComponent(name)}`,
        {},
        signal,
      );
      const model = { versions: 0, aliases: {}, tags: {}, ...reply.model } as RegistryRow;
      return { model, versions: reply.versions ?? [] } satisfies RegisteredModelPage;
    },
  });

/** The newest of what is in the trash, and how much there is. */
export const trashQuery = (kind: TrashItem["kind"]) =>
  queryOptions({
    queryKey: ["trash", kind],
    queryFn: ({ signal }) => get<Trash>("/api/v1/trash", { kind, max_results: 1000 }, signal),
  });

/** Bytes of the files in directories. */
export async function measureFiles(uris: readonly string[]): Promise<{ files: number; size: number }> {
  const { files = 0, size = 0 } = await post<{ files?: number; size?: number }>("/api/v1/files/measure", { uris });
  return { files, size };
}

export const groupsQuery = (query: GroupRuns) =>
  queryOptions({
    queryKey: ["groups", query],
    queryFn: ({ signal }) => post<GroupTable>("/api/v1/runs/group", query, "POST", signal),
  });

export const histogramsQuery = (query: GetHistograms) =>
  queryOptions({
    queryKey: ["histograms", query],
    queryFn: ({ signal }) => post<Histograms>("/api/v1/columns/histograms", query, "POST", signal),
    staleTime: 10_000,
  });

/** The named views of an experiment. */
export const viewsQuery = (experimentId: string) =>
  queryOptions({
    queryKey: ["views", experimentId],
    queryFn: async ({ signal }) => {
      const query = { experiment_id: experimentId };
      return (await get<{ views?: SavedView[] }>("/api/v1/views", query, signal)).views ?? [];
    },
  });

export const viewQuery = (viewId: string) =>
  queryOptions({
    queryKey: ["views", "one", viewId],
    queryFn: async ({ signal }) =>
      (await get<{ view: SavedView }>(`/api/v1/views/${encodeURIComponent(viewId)}`, {}, signal)).view,
  });
