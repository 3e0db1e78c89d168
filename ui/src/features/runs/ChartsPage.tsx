/** Learning curves of several runs: the selected ones, or the first 20 of the filter and order at hand. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { ChartLine } from "lucide-react";
import { useMemo } from "react";
import { columnsQuery, LIVE_MS, runsQuery } from "@/api/queries";
import { useRunStyles } from "@/api/styles";
import type { ColumnCatalogue } from "@/api/types";
import { ChartsPanel } from "@/charts/ChartsPanel";
import type { Metric } from "@/charts/groups";
import { Button } from "@/components/Button";
import { Page } from "@/components/Page";
import { RunChip } from "@/components/Run";
import { EmptyState, ErrorState, Skeleton } from "@/components/States";
import { parseColumn } from "@/lib/columns";
import { formatCount, plural } from "@/lib/format";
import { type ChartsSearch, parseSort, type RunsSearch } from "@/lib/search";
import styles from "./ChartsPage.module.css";
import { ExperimentHead } from "./ExperimentHead";

const route = getRouteApi("/e/$exp/charts");
const FIRST = 20;
const NEWEST = { column: "attributes.start_time", descending: true };

export function ChartsPage() {
  const { exp } = route.useParams();
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/e/$exp/charts" });
  const chosen = search.sel?.slice(0, FIRST);
  const runs = useQuery({
    ...runsQuery({
      experiment_ids: [exp],
      filter: chosen ? `attributes.run_id IN (${chosen.map((id) => `'${id}'`).join(", ")})` : (search.f ?? ""),
      sort: [parseSort(search.sort) ?? NEWEST],
      columns: ["attributes.run_name", "attributes.status"],
      limit: FIRST,
    }),
    refetchInterval: (query) => (query.state.data?.columns["attributes.status"]?.includes("RUNNING") ? LIVE_MS : false),
  });
  const catalogue = useMetricCatalogue(exp, search.m);
  const logged = useLoggedMetrics(exp, catalogue.data?.columns, runs.data?.run_ids);
  const ids = useMemo(() => runs.data?.run_ids ?? [], [runs.data]);
  const styleOf = useRunStyles(exp, ids);
  const shown = useMemo(() => {
    if (!styleOf) return [];
    return ids.map((id, index) => ({
      id,
      name: String(runs.data?.columns["attributes.run_name"]?.[index] ?? id.slice(0, 8)),
      status: String(runs.data?.columns["attributes.status"]?.[index] ?? ""),
      style: styleOf(id),
    }));
  }, [runs.data, ids, styleOf]);
  const change = (next: Partial<ChartsSearch & RunsSearch>) =>
    navigate({ search: (old) => ({ ...old, ...next }), replace: true });
  const live = shown.some((run) => run.status === "RUNNING");
  const error = runs.error ?? catalogue.error;
  return (
    <Page fixed head={<ExperimentHead experimentId={exp} page="Charts" />}>
      <div className={styles.split}>
        <aside className={styles.runs} aria-label="Runs in the charts">
          <p className={styles.words}>{sayShown(ids.length, runs.data?.total ?? 0, search)}</p>
          {search.sel && (
            <Button small onClick={() => change({ sel: undefined })}>
              Show the first {FIRST} instead
            </Button>
          )}
          <ul>
            {shown.map((run) => (
              <li key={run.id}>
                <Link to="/e/$exp/r/$run/$tab" params={{ exp, run: run.id, tab: "charts" }} className={styles.run}>
                  <RunChip runId={run.id} name={run.name} status={run.status} style={run.style} most={26} />
                </Link>
              </li>
            ))}
          </ul>
        </aside>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard */}
        <div className={styles.charts} tabIndex={0} role="region" aria-label="Charts">
          {error && <ErrorState error={error} retry={() => Promise.all([runs.refetch(), catalogue.refetch()])} />}
          {(runs.isPending || catalogue.isPending || !styleOf) && !error && <Skeleton />}
          {runs.data && ids.length === 0 && (
            <EmptyState title="No runs to chart" icon={<ChartLine size={20} strokeWidth={1.5} />}>
              <p>{search.f ? "The filter hides every run of this experiment." : "This experiment has no runs yet."}</p>
              {search.f && <Button onClick={() => change({ f: undefined })}>Clear filter</Button>}
            </EmptyState>
          )}
          {shown.length > 0 && logged && (
            <ChartsPanel
              metrics={logged}
              note={sayMetrics(catalogue.data, search.m)}
              runs={shown}
              search={search}
              onSearch={change}
              live={live}
            />
          )}
        </div>
      </div>
    </Page>
  );
}

/** Columns that one request may ask for. */
const MOST_METRICS = 500;

/** The metrics that most runs have; where there are more, a search by name asks the server. */
function useMetricCatalogue(experimentId: string, wanted: string | undefined) {
  const all = useQuery(columnsQuery(experimentId, "metrics.", MOST_METRICS));
  const deeper = wanted !== undefined && (all.data?.total ?? 0) > MOST_METRICS;
  const found = useQuery({ ...columnsQuery(experimentId, wanted, MOST_METRICS), enabled: deeper });
  return deeper ? found : all;
}

/** Which metrics were looked at, in words, when there are more. */
function sayMetrics(catalogue: ColumnCatalogue | undefined, wanted: string | undefined): string | undefined {
  if (!catalogue || catalogue.total <= MOST_METRICS) return undefined;
  const [first, total] = [formatCount(MOST_METRICS), formatCount(catalogue.total)];
  return wanted
    ? `Looked at the first ${first} of ${total} columns that contain “${wanted}”. A longer part of the name finds the others.`
    : `Looked at the ${first} metrics that most runs have, of ${total}. Find the others by name.`;
}

/** The metrics that at least one of the runs has: no card stays empty. `undefined` until that is known. */
function useLoggedMetrics(
  experimentId: string,
  catalogue: readonly { name: string; kind: string }[] | undefined,
  runIds: readonly string[] | undefined,
): Metric[] | undefined {
  const counts = catalogue?.filter((entry) => entry.kind === "metrics").map((entry) => `${entry.name}@count`);
  const { data } = useQuery({
    ...runsQuery({
      experiment_ids: [experimentId],
      filter: `attributes.run_id IN (${runIds?.map((id) => `'${id}'`).join(", ")})`,
      columns: counts ?? [],
      limit: FIRST,
    }),
    enabled: Boolean(counts && runIds?.length),
    placeholderData: keepPreviousData,
  });
  return useMemo(() => {
    const found = Object.entries(data?.columns ?? {}).filter(([, values]) => values.some((value) => value !== null));
    return (
      data &&
      found.map(([name, values]) => ({ key: parseColumn(name).key, single: Math.max(...values.map(Number)) <= 1 }))
    );
  }, [data]);
}

/** Which runs are shown, in words: never a silent cap. */
function sayShown(shown: number, total: number, search: RunsSearch): string {
  if (search.sel) {
    const left = search.sel.length - shown;
    return left > 0
      ? `Showing ${shown} of ${plural(search.sel.length, "selected run")}`
      : `Showing ${plural(shown, "selected run")}`;
  }
  const sort = parseSort(search.sort);
  const order = sort ? `by ${parseColumn(sort.column).key} ${sort.descending ? "▼" : "▲"}` : "newest first";
  return `Showing ${formatCount(shown)} of ${plural(total, "run")}, ${order}`;
}
