/** Learning curves of several runs: the selected ones, or the first of the filter and order at hand. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { ChartLine } from "lucide-react";
import { useMemo } from "react";
import { useLoggedMetrics } from "@/api/metrics";
import { columnsQuery, runsQuery } from "@/api/queries";
import { useRunStyles } from "@/api/styles";
import { ChartsPanel } from "@/charts/ChartsPanel";
import { ExplorePanel } from "@/charts/ExplorePanel";
import { groupRuns } from "@/charts/grouping";
import { Hoverable } from "@/charts/Hoverable";
import { Button, Segments } from "@/components/Button";
import { GroupBy } from "@/components/GroupBy";
import { Page } from "@/components/Page";
import { RunChip, Swatch } from "@/components/Run";
import { EmptyState, ErrorState, Skeleton } from "@/components/States";
import { axisColumns, groupableColumns, parseColumn, presetAxes } from "@/lib/columns";
import { formatCount, plural } from "@/lib/format";
import { CHARTED, type ChartsSearch, chartsSearch, parseSort, type RunsSearch, runsSearch } from "@/lib/search";
import { useUndo } from "@/lib/undo";
import styles from "./ChartsPage.module.css";
import { ExperimentHead, NoExperiment, useNoExperiment } from "./ExperimentHead";
import { useSharedView } from "./useSharedView";
import { ViewMenu } from "./ViewMenu";

const route = getRouteApi("/e/$exp/charts");
const NEWEST = { column: "attributes.start_time", descending: true };
const COUNTS = [5, 10, 20, 50, 100, 200, 500, 1000];
const NOBODY: string[] = [];
const VIEWS = [
  { value: "lines", label: "Lines" },
  { value: "scatter", label: "Scatter" },
  { value: "parallel", label: "Parallel", title: "Parallel coordinates" },
] as const;

export function ChartsPage() {
  const { exp } = route.useParams();
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/e/$exp/charts" });
  const show = (next: object) =>
    navigate({ search: { ...runsSearch({ ...next }), ...chartsSearch({ ...next }) }, replace: true });
  useSharedView(search.v, show);
  useUndo(search, show);
  const most = search.n ?? CHARTED;
  const by = search.by ?? NOBODY;
  const { runs, shown } = useShown(exp, search, most, by);
  const experiments = useMemo(() => [exp], [exp]);
  const ids = runs.data?.run_ids ?? NOBODY;
  const logged = useLoggedMetrics(experiments, runs.data?.run_ids, search.m);
  const noExperiment = useNoExperiment(exp);
  const catalogue = useQuery(columnsQuery(experiments));
  const groupable = useMemo(() => groupableColumns(catalogue.data?.columns ?? []), [catalogue.data]);
  const axes = useMemo(() => axisColumns(catalogue.data?.columns ?? []), [catalogue.data]);
  const groups = useMemo(() => {
    if (by.length === 0 || !runs.data) return undefined;
    const { run_ids, columns } = runs.data;
    const rows = run_ids.map((id, place) => ({ id, values: by.map((column) => columns[column]?.[place] ?? null) }));
    return groupRuns(rows, by);
  }, [runs.data, by]);
  const change = (next: Partial<ChartsSearch & RunsSearch>) =>
    navigate({ search: (old) => ({ ...old, ...next }), replace: true });
  const error = runs.error ?? logged.error;
  if (noExperiment) return <NoExperiment error={noExperiment} page="Charts" />;
  return (
    <Page fixed head={<ExperimentHead experimentId={exp} page="Charts" />}>
      <div className={styles.split}>
        <aside className={styles.runs} aria-label="Runs in the charts">
          <Segments
            label="Kind of chart"
            value={search.view ?? "lines"}
            options={VIEWS}
            onChange={(view) => change({ view: view === "lines" ? undefined : view, axes: undefined })}
          />
          <p className={styles.words}>{sayShown(ids.length, runs.data?.total ?? 0, search)}</p>
          <div className={styles.choice}>
            {search.sel ? (
              <Button small onClick={() => change({ sel: undefined })}>
                Show the first {most} instead
              </Button>
            ) : (
              <select
                aria-label="How many runs are shown"
                value={most}
                onChange={(event) => {
                  const count = Number(event.target.value);
                  change({ n: count === CHARTED ? undefined : count });
                }}
              >
                {[...new Set([...COUNTS, most])]
                  .sort((left, right) => left - right)
                  .map((count) => (
                    <option key={count} value={count}>
                      First {formatCount(count)}
                    </option>
                  ))}
              </select>
            )}
            <ViewMenu experimentId={exp} page="charts" search={{ ...search }} onShow={show} />
            {!search.view && (
              <GroupBy
                columns={by}
                options={groupable}
                most={3}
                onChange={(next) => change({ by: next.length ? next : undefined })}
              />
            )}
          </div>
          {groups && !search.view && (
            <ul aria-label="Groups">
              {groups.map((group) => (
                <Hoverable key={group.id} id={group.id} className={styles.run}>
                  <Swatch style={group.style} />
                  <span className={styles.group} title={group.name}>
                    {group.name}
                  </span>
                </Hoverable>
              ))}
            </ul>
          )}
          {(!groups || search.view) && (
            <ul>
              {shown.map((run) => (
                <Hoverable key={run.id} id={run.id}>
                  <Link to="/e/$exp/r/$run/$tab" params={{ exp, run: run.id, tab: "charts" }} className={styles.run}>
                    <RunChip runId={run.id} name={run.name} status={run.status} style={run.style} most={26} />
                  </Link>
                </Hoverable>
              ))}
            </ul>
          )}
        </aside>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard */}
        <div className={styles.charts} tabIndex={0} role="region" aria-label="Charts">
          {error && <ErrorState error={error} retry={() => Promise.all([runs.refetch(), logged.refetch()])} />}
          {(runs.isPending || (ids.length > 0 && (!logged.metrics || shown.length === 0))) && !error && <Skeleton />}
          {runs.data && ids.length === 0 && (
            <EmptyState title="No runs to chart" icon={<ChartLine size={20} strokeWidth={1.5} />}>
              <p>{search.f ? "The filter hides every run of this experiment." : "This experiment has no runs yet."}</p>
              {search.f && <Button onClick={() => change({ f: undefined })}>Clear filter</Button>}
            </EmptyState>
          )}
          {shown.length > 0 && search.view && catalogue.data && (
            <ExplorePanel
              key={search.view}
              view={search.view}
              experimentIds={experiments}
              runs={shown}
              columns={axes}
              preset={presetAxes(axes, search.view)}
              search={search}
              onSearch={change}
              onOpen={(run) => navigate({ to: "/e/$exp/r/$run/$tab", params: { exp, run, tab: "overview" } })}
              onSelect={(sel) => change({ sel })}
            />
          )}
          {shown.length > 0 && !search.view && logged.metrics && (
            <ChartsPanel
              metrics={logged.metrics}
              note={logged.note}
              runs={shown}
              groups={groups}
              search={search}
              onSearch={change}
            />
          )}
        </div>
      </div>
    </Page>
  );
}

/** The runs that the charts show, with their names and styles; none until the styles are known. */
function useShown(exp: string, search: RunsSearch, most: number, by: readonly string[]) {
  const chosen = search.sel?.slice(0, Math.max(most, search.sel.length));
  const runs = useQuery({
    ...runsQuery({
      experiment_ids: [exp],
      filter: chosen ? `attributes.run_id IN (${chosen.map((id) => `'${id}'`).join(", ")})` : (search.f ?? ""),
      sort: [parseSort(search.sort) ?? NEWEST],
      columns: ["attributes.run_name", "attributes.status", ...by],
      limit: chosen ? chosen.length : most,
    }),
    placeholderData: keepPreviousData,
  });
  const ids = useMemo(() => runs.data?.run_ids ?? NOBODY, [runs.data]);
  const styleOf = useRunStyles(exp, ids);
  const shown = useMemo(() => {
    if (!styleOf) return [];
    const cell = (name: string, place: number) => String(runs.data?.columns[`attributes.${name}`]?.[place] ?? "");
    return ids.map((id, place) => ({
      id,
      name: cell("run_name", place) || id.slice(0, 8),
      status: cell("status", place),
      style: styleOf(id),
    }));
  }, [runs.data, ids, styleOf]);
  return { runs, shown };
}

/** Which runs are shown, in words: never a silent cap. */
function sayShown(shown: number, total: number, search: RunsSearch): string {
  if (search.sel) {
    const gone = search.sel.length - shown;
    const words = `Showing ${plural(shown, "selected run")}`;
    return gone > 0 ? `${words}; ${formatCount(gone)} more deleted or moved` : words;
  }
  const sort = parseSort(search.sort);
  const order = sort ? `by ${parseColumn(sort.column).key} ${sort.descending ? "▼" : "▲"}` : "newest first";
  return `Showing ${formatCount(shown)} of ${plural(total, "run")}, ${order}`;
}
