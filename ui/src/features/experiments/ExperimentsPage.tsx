/** Home: all experiments, what runs now, and how to begin when there is nothing yet. */

import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { FlaskConical } from "lucide-react";
import { useMemo } from "react";
import { experimentsQuery } from "@/api/queries";
import type { ExperimentSummary } from "@/api/types";
import { Button } from "@/components/Button";
import { Page, PageHead } from "@/components/Page";
import { StatusDot } from "@/components/Run";
import { SearchInput } from "@/components/SearchInput";
import { EmptyState, ErrorState, ProgressLine, Skeleton } from "@/components/States";
import { Ago, Chip, Snippet } from "@/components/Value";
import { formatCount, plural } from "@/lib/format";
import { formatSort, nextSort, parseSort } from "@/lib/search";
import { Grid, type GridColumn } from "@/table/Grid";
import { arrange, listColumns, type SortValues } from "@/table/list";
import styles from "./ExperimentsPage.module.css";

const route = getRouteApi("/");

export function ExperimentsPage() {
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/" });
  const query = useQuery(experimentsQuery);
  const sort = parseSort(search.sort);
  const wanted = search.q ?? "";
  const rows = useMemo(
    () => arrange(query.data ?? [], wanted, words, parseSort(search.sort), VALUES),
    [query.data, wanted, search.sort],
  );
  const columns = useMemo(() => gridColumns(rows), [rows]);
  const total = query.data?.length ?? 0;
  const running = query.data?.reduce((sum, row) => sum + row.running_count, 0) ?? 0;
  const lost = query.data?.reduce((sum, row) => sum + row.lost_count, 0) ?? 0;
  const setQuery = (q: string) => navigate({ search: (old) => ({ ...old, q: q || undefined }), replace: true });
  const head = (
    <PageHead
      title="Experiments"
      meta={
        total > 0 && (
          <span>
            {plural(total, "experiment")}
            {running > 0 && ` · ${plural(running, "run")} running`}
            {lost > 0 && ` · ${formatCount(lost)} lost`}
          </span>
        )
      }
      tools={total > 0 && <SearchInput main label="Search experiments" value={wanted} onChange={setQuery} />}
    />
  );
  if (query.isPending)
    return (
      <Page head={head}>
        <Skeleton />
      </Page>
    );
  if (!query.data)
    return (
      <Page head={head}>
        <ErrorState error={query.error} retry={() => query.refetch()} />
      </Page>
    );
  if (query.data.every((row) => row.run_count === 0) && total <= 1)
    return (
      <Page head={head}>
        <FirstSteps />
      </Page>
    );
  return (
    <Page head={head} fixed>
      <ProgressLine active={query.isFetching && !query.isRefetching} />
      {query.error && <ErrorState compact error={query.error} retry={() => query.refetch()} />}
      {rows.length === 0 ? (
        <EmptyState title="Nothing matches">
          <p>
            “{wanted}” hides all {plural(total, "experiment")}.
          </p>
          <Button onClick={() => setQuery("")}>Clear search</Button>
        </EmptyState>
      ) : (
        <Grid
          label="Experiments"
          columns={columns}
          rowCount={rows.length}
          rowId={(row) => rows[row]?.experiment_id ?? null}
          sort={sort ?? { column: "activity", descending: true }}
          onSort={(column) =>
            navigate({ search: (old) => ({ ...old, sort: formatSort(nextSort(sort, column)) }), replace: true })
          }
          onOpen={(row) => navigate({ to: "/e/$exp/runs", params: { exp: rows[row]!.experiment_id } })}
          resetKey={`${wanted}\n${search.sort ?? ""}`}
        />
      )}
    </Page>
  );
}

const VALUES: SortValues<ExperimentSummary> = {
  name: (row) => row.name,
  runs: (row) => row.run_count,
  running: (row) => row.running_count,
  activity: (row) => row.last_activity ?? row.creation_time ?? 0,
  created: (row) => row.creation_time ?? 0,
};

/** What a search looks at. */
function words(row: ExperimentSummary): (string | null | undefined)[] {
  return [row.name, row.note, ...Object.entries(row.tags).flat()];
}

function gridColumns(rows: readonly ExperimentSummary[]): GridColumn[] {
  return listColumns(rows, VALUES, [
    {
      id: "name",
      label: "Name",
      width: 280,
      cell: (row) => (
        <Link to="/e/$exp/runs" params={{ exp: row.experiment_id }} className={styles.name} title={row.name}>
          {row.name}
        </Link>
      ),
    },
    { id: "runs", label: "Runs", width: 80, align: "end", cell: (row) => <span>{formatCount(row.run_count)}</span> },
    { id: "running", label: "Running", width: 92, align: "end", cell: (row) => <Running row={row} /> },
    {
      id: "activity",
      label: "Last activity",
      width: 132,
      cell: (row) => <Ago time={row.last_activity ?? row.creation_time} />,
    },
    { id: "created", label: "Created", width: 120, cell: (row) => <Ago time={row.creation_time} /> },
    ...(rows.some(hasWords)
      ? [{ id: "note", label: "Note and tags", width: 520, cell: (row: ExperimentSummary) => <Words row={row} /> }]
      : []),
  ]);
}

function Running({ row }: { row: ExperimentSummary }) {
  if (row.running_count + row.lost_count === 0) return <span className={styles.faint}>–</span>;
  return (
    <span className={styles.running}>
      {row.running_count > 0 && (
        <span>
          <StatusDot status="RUNNING" /> {formatCount(row.running_count)}
        </span>
      )}
      {row.lost_count > 0 && (
        <span title="Running, but their processes were not heard of for 90 seconds">
          <StatusDot status="LOST" /> {formatCount(row.lost_count)}
        </span>
      )}
    </span>
  );
}

function ownTags(row: ExperimentSummary): [string, string][] {
  return Object.entries(row.tags).filter(([key]) => !key.startsWith("mlflow."));
}

function hasWords(row: ExperimentSummary): boolean {
  return Boolean(row.note) || ownTags(row).length > 0;
}

const MOST_TAGS = 4;

/** What people wrote about an experiment. */
function Words({ row }: { row: ExperimentSummary }) {
  return (
    <span className={styles.notes}>
      {ownTags(row)
        .slice(0, MOST_TAGS)
        .map(([key, value]) => (
          <Chip key={key} title={`${key}: ${value}`}>
            {value ? `${key}: ${value}` : key}
          </Chip>
        ))}
      {row.note && (
        <span className={styles.faint} title={row.note}>
          {row.note}
        </span>
      )}
    </span>
  );
}

/** What to do when nothing was ever logged. */
function FirstSteps() {
  const origin = window.location.origin;
  return (
    <EmptyState title="No runs yet" icon={<FlaskConical size={20} strokeWidth={1.5} />}>
      <p>Log something from Python and it appears here within a second or two.</p>
      <h3>With Runlore</h3>
      <Snippet
        label="Runlore snippet"
        code={`import runlore\n\nrunlore.set_tracking_uri("${origin}")\nrunlore.set_experiment("first steps")\nwith runlore.start_run():\n    runlore.log_param("lr", 0.01)\n    for step in range(100):\n        runlore.log_metric("loss", 1 / (step + 1), step=step)`}
      />
      <h3>With an MLflow client, as it is</h3>
      <Snippet label="MLflow snippet" code={`export MLFLOW_TRACKING_URI=${origin}\npython train.py`} />
    </EmptyState>
  );
}
