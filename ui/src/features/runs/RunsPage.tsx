/** The runs of an experiment: find, order, mark. */

import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { RefreshCw, Rows3 } from "lucide-react";
import { useMemo } from "react";
import { ApiError } from "@/api/client";
import { columnsQuery, runsQuery } from "@/api/queries";
import { useRunStyles } from "@/api/styles";
import { Button } from "@/components/Button";
import { GroupBy } from "@/components/GroupBy";
import { Page } from "@/components/Page";
import { EmptyState, ErrorState, ProgressLine, Skeleton } from "@/components/States";
import { Snippet } from "@/components/Value";
import { FilterBar } from "@/filter/FilterBar";
import { defaultColumns, groupableColumns } from "@/lib/columns";
import { formatCount, plural } from "@/lib/format";
import { CHARTED, formatSort, nextSort, parseSort, type RunsSearch, runsSearch } from "@/lib/search";
import { useUndo } from "@/lib/undo";
import { Grid } from "@/table/Grid";
import { ColumnPicker } from "./ColumnPicker";
import { FIXED, gridColumns } from "./columns";
import { ExperimentHead, NoExperiment, useNoExperiment } from "./ExperimentHead";
import { ExportMenu } from "./ExportMenu";
import { GroupedTable } from "./GroupedTable";
import styles from "./RunsPage.module.css";
import { SelectionBar } from "./SelectionBar";
import { Selection } from "./selection";
import { useLost } from "./useLost";
import { useParentNames } from "./useParentNames";
import { PARENT, useRunRows } from "./useRunRows";
import { useSharedView } from "./useSharedView";
import { useSpreads } from "./useSpreads";
import { ViewMenu } from "./ViewMenu";

const route = getRouteApi("/e/$exp/runs");
const NEWEST = { column: "attributes.start_time", descending: true };

export function RunsPage() {
  const { exp } = route.useParams();
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/e/$exp/runs" });
  const change = (next: Partial<RunsSearch>) => navigate({ search: (old) => ({ ...old, ...next }), replace: true });
  const show = (next: object) => navigate({ search: runsSearch({ ...next }), replace: true });
  useSharedView(search.v, show);
  useUndo(search, show);
  const noExperiment = useNoExperiment(exp);
  const catalogue = useQuery(columnsQuery([exp]));
  const entries = catalogue.data?.columns;
  const columns = useMemo(() => search.cols ?? defaultColumns(entries ?? []), [search.cols, entries]);
  const sort = useMemo(() => parseSort(search.sort), [search.sort]);
  const fetched = useMemo(() => [...new Set([...FIXED, PARENT, ...columns])], [columns]);
  const order = useMemo(() => [sort ?? NEWEST], [sort]);
  const rows = useRunRows({
    experimentId: exp,
    filter: search.f ?? "",
    sort: order,
    columns: fetched,
    deleted: search.deleted ?? false,
    tree: order[0]?.column === NEWEST.column,
  });
  const all = useQuery({ ...runsQuery({ experiment_ids: [exp], columns: [], limit: 1 }), enabled: Boolean(search.f) });
  const selection = useMemo(() => new Selection(search, rows.total), [search, rows.total]);
  const numeric = useMemo(
    () => new Set(entries?.filter((entry) => entry.numeric).map((entry) => entry.name)),
    [entries],
  );
  const { version } = rows;
  // biome-ignore lint/correctness/useExhaustiveDependencies: `version` stands for the rows, which are read late
  const charted = useMemo(() => {
    const first = Array.from({ length: Math.min(CHARTED, rows.total) }, (_, place) => rows.at(place));
    return search.sel && !search.every ? search.sel.slice(0, CHARTED) : first.filter((id) => id !== null);
  }, [version, search.sel, search.every]);
  const styleOf = useRunStyles(exp, charted);
  const parentNames = useParentNames(exp, rows);
  const lost = useLost(rows);
  const { spreads, onColumns } = useSpreads({
    experimentId: exp,
    filter: search.f ?? "",
    columns,
    enabled: rows.total > 1 && !search.by,
  });
  const groupable = useMemo(() => groupableColumns(entries ?? []), [entries]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the same
  const grid = useMemo(
    () =>
      gridColumns({
        experimentId: exp,
        rows,
        columns,
        charted: new Set(charted),
        styleOf,
        parentNames,
        numeric,
        spreads,
        lost,
        onFilter: (condition) => change({ f: search.f ? `(${search.f}) AND ${condition}` : condition }),
      }),
    [exp, version, columns, charted, styleOf, parentNames, numeric, spreads, lost, search.f],
  );

  const wrongFilter =
    rows.error instanceof ApiError && rows.error.status === 400 && search.f ? rows.error.message : null;
  const everything = search.f ? (all.data?.total ?? rows.total) : rows.total;
  const counted = search.f && !wrongFilter ? `${formatCount(rows.total)} of ${plural(everything, "run")}` : "";
  const words = `${counted || (rows.pending ? "" : plural(everything, "run"))}${rows.anyRunning ? " · live" : ""}`;
  const loaded = rows.windows().flatMap((window) => window.run_ids);
  const allLoaded = loaded.length > 0 && loaded.every((id) => selection.has(id));

  if (noExperiment) return <NoExperiment error={noExperiment} page="Runs" />;
  return (
    <Page fixed head={<ExperimentHead experimentId={exp} page="Runs" />}>
      <div className={styles.toolbar}>
        <FilterBar
          value={search.f ?? ""}
          onApply={(f) => change({ f: f || undefined })}
          catalogue={entries ?? []}
          error={wrongFilter}
        />
        {rows.moved && (
          <Button onClick={rows.showMoved} title="New runs or a new order arrived while you were reading">
            <RefreshCw size={14} strokeWidth={1.5} aria-hidden="true" />
            Show newest
          </Button>
        )}
        <GroupBy
          columns={search.by ?? []}
          options={groupable}
          most={3}
          onChange={(by) => change({ by: by.length ? by : undefined, sort: undefined })}
        />
        <ViewMenu experimentId={exp} page="runs" search={{ ...search }} onShow={show} />
        <ExportMenu experimentId={exp} filter={search.f ?? ""} columns={[...FIXED, ...columns]} total={rows.total} />
        <ColumnPicker
          experimentId={exp}
          columns={columns}
          custom={search.cols !== undefined}
          onChange={(cols) => change({ cols })}
        />
      </div>
      <ProgressLine active={rows.fetching} />
      {catalogue.error && !rows.error && (
        <ErrorState compact error={catalogue.error} retry={() => catalogue.refetch()} />
      )}
      {rows.error && !wrongFilter && <ErrorState error={rows.error} retry={rows.refetch} />}
      {rows.pending && !rows.error && <Skeleton rows={12} />}
      {wrongFilter && rows.total === 0 && !rows.pending && (
        <EmptyState title="The filter was not understood" icon={<Rows3 size={20} strokeWidth={1.5} />}>
          <p>
            Compare a field with a value: <code>metrics.loss &lt; 0.3</code>, <code>params.optimizer = 'adam'</code>,{" "}
            <code>attributes.status = 'FAILED'</code>; join comparisons with AND, OR, NOT.
          </p>
          <Button onClick={() => change({ f: undefined })}>Clear filter</Button>
        </EmptyState>
      )}
      {!rows.pending && rows.total === 0 && !rows.error && (
        <NoRuns
          filter={search.f}
          everything={everything}
          hint={rows.hint}
          onClear={() => change({ f: undefined })}
          experimentId={exp}
        />
      )}
      {search.by && rows.total > 0 && (
        <GroupedTable
          experimentId={exp}
          filter={search.f ?? ""}
          by={search.by}
          columns={columns}
          sort={sort}
          onSort={(next) => change({ sort: formatSort(next) })}
        />
      )}
      {!search.by && rows.total > 0 && (
        <Grid
          label="Runs"
          columns={grid}
          rowCount={rows.count}
          rowId={rows.id}
          sort={sort ?? NEWEST}
          onSort={(column) => change({ sort: formatSort(nextSort(sort, column)) })}
          selection={{
            selected: selection,
            onChange: (ids, on) => change(selection.with(ids, on)),
            onClear: () => change({ sel: undefined, every: undefined }),
            name: (row) => String(rows.cell(row, "attributes.run_name") ?? "run"),
          }}
          onOpen={(row) => {
            const run = rows.id(row);
            if (run) navigate({ to: "/e/$exp/r/$run/$tab", params: { exp, run, tab: "overview" } });
          }}
          onRows={rows.setVisible}
          onColumns={onColumns}
          onHold={rows.setHold}
          resetKey={`${exp}\n${search.f ?? ""}\n${search.sort ?? ""}`}
        />
      )}
      {!search.by && (
        <SelectionBar
          experimentId={exp}
          search={search}
          selection={selection}
          total={rows.total}
          allLoaded={allLoaded}
          words={words}
          charted={Math.min(CHARTED, rows.total)}
          onChange={change}
          onCompare={(ids) => navigate({ to: "/compare", search: { runs: ids } })}
        />
      )}
    </Page>
  );
}

interface NoRunsProps {
  filter: string | undefined;
  everything: number;
  hint: string | undefined;
  onClear: () => void;
  experimentId: string;
}

function NoRuns({ filter, everything, hint, onClear, experimentId }: NoRunsProps) {
  if (filter) {
    return (
      <EmptyState title="No run matches" icon={<Rows3 size={20} strokeWidth={1.5} />}>
        <p>The filter hides {everything > 0 ? `all ${plural(everything, "run")}` : "everything there could be"}.</p>
        {hint && <p>{hint}</p>}
        <Button onClick={onClear}>Clear filter</Button>
      </EmptyState>
    );
  }
  return (
    <EmptyState title="No runs in this experiment yet" icon={<Rows3 size={20} strokeWidth={1.5} />}>
      <p>A run appears here as soon as it starts.</p>
      <Snippet
        label="snippet"
        code={`import runlore\n\nrunlore.set_tracking_uri("${window.location.origin}")\nwith runlore.start_run(experiment_id="${experimentId}"):\n    runlore.log_metric("loss", 0.5, step=1)`}
      />
    </EmptyState>
  );
}
