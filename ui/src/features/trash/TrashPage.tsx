/** What was deleted: take it out again, or delete it for good. */

import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { Trash2 } from "lucide-react";
import { lazy, Suspense, useMemo, useState } from "react";
import { restoreExperiment, restoreLoggedModel, restoreRuns, useChange } from "@/api/changes";
import { experimentsQuery, trashQuery } from "@/api/queries";
import type { TrashItem } from "@/api/types";
import { Button, Segments } from "@/components/Button";
import { Page, PageHead } from "@/components/Page";
import { SearchInput } from "@/components/SearchInput";
import { EmptyState, ErrorState, Skeleton } from "@/components/States";
import { Ago, Chip } from "@/components/Value";
import { formatCount, plural } from "@/lib/format";
import { Grid, type GridColumn } from "@/table/Grid";
import { arrange, listColumns } from "@/table/list";
import styles from "./Trash.module.css";

const PurgeDialog = lazy(() => import("./PurgeDialog"));
const route = getRouteApi("/trash");
const NOTHING: TrashItem[] = [];
const NOUNS = { run: "run", experiment: "experiment", logged_model: "logged model" } as const;

export function TrashPage() {
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/trash" });
  const kind = search.kind ?? "run";
  const query = useQuery(trashQuery(kind));
  const names = useExperimentNames();
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set());
  const [purging, setPurging] = useState(false);
  const change = useChange();
  const rows = useMemo(
    () => arrange(query.data?.items ?? NOTHING, search.q ?? "", ({ name, id }) => [name, id], null, {}),
    [query.data, search.q],
  );
  const columns = useMemo(() => gridColumns(rows, names), [rows, names]);
  const chosen = rows.filter((row) => marked.has(row.id));
  const { experiments = 0, runs = 0, logged_models: models = 0 } = query.data ?? {};
  const kinds = [
    { value: "run" as const, label: `Runs (${formatCount(runs)})` },
    { value: "experiment" as const, label: `Experiments (${formatCount(experiments)})` },
    { value: "logged_model" as const, label: `Logged models (${formatCount(models)})` },
  ];
  const restore = async () => {
    const words = (done: number) => `${plural(done, NOUNS[kind])} restored.`;
    if (await change(() => restoreItems(chosen), { words })) setMarked(new Set());
  };
  const total = { run: runs, experiment: experiments, logged_model: models }[kind];
  const head = (
    <PageHead
      title="Trash"
      meta={<span>What is deleted stays here until it is deleted for good.</span>}
      tools={
        <>
          <SearchInput
            main
            label="Search the trash"
            value={search.q ?? ""}
            onChange={(q) => navigate({ search: (old) => ({ ...old, q: q || undefined }), replace: true })}
          />
          <Segments
            label="Kind"
            value={kind}
            options={kinds}
            onChange={(next) => {
              setMarked(new Set());
              navigate({ search: { kind: next === "run" ? undefined : next }, replace: true });
            }}
          />
        </>
      }
    />
  );
  return (
    <Page fixed head={head}>
      {query.error && <ErrorState error={query.error} retry={() => query.refetch()} />}
      {query.isPending && !query.error && <Skeleton />}
      {query.data && rows.length === 0 && (
        <EmptyState
          title={search.q ? "Nothing matches" : `No ${NOUNS[kind]} in the trash`}
          icon={<Trash2 size={20} strokeWidth={1.5} />}
        >
          <p>
            {runs > 0 && kind === "run"
              ? "The runs counted above went with their experiments."
              : "Deleted things wait here."}
          </p>
        </EmptyState>
      )}
      {rows.length > 0 && (
        <Grid
          label="Trash"
          columns={columns}
          rowCount={rows.length}
          rowId={(row) => rows[row]?.id ?? null}
          selection={{
            selected: marked,
            name: (row) => rows[row]?.name ?? "",
            onChange: (ids, on) => setMarked((now) => marks(now, ids, on)),
            onClear: () => setMarked(new Set()),
          }}
          resetKey={kind}
        />
      )}
      <footer className={styles.footer}>
        <span role="status">
          {rows.length < total && !search.q
            ? `${formatCount(rows.length)} of ${plural(total, NOUNS[kind])} listed`
            : plural(rows.length, NOUNS[kind])}
          {chosen.length > 0 && ` · ${formatCount(chosen.length)} selected`}
        </span>
        <span className={styles.actions}>
          {chosen.length > 0 && <Button onClick={restore}>Restore</Button>}
          <Button disabled={experiments + runs + models === 0} onClick={() => setPurging(true)}>
            <Trash2 size={14} strokeWidth={1.5} aria-hidden="true" />
            {chosen.length > 0 ? `Delete ${formatCount(chosen.length)} for good` : "Empty the trash"}
          </Button>
        </span>
      </footer>
      {purging && (
        <Suspense>
          <PurgeDialog
            items={chosen}
            onClose={() => setPurging(false)}
            onDone={() => {
              setPurging(false);
              setMarked(new Set());
            }}
          />
        </Suspense>
      )}
    </Page>
  );
}

function marks(now: ReadonlySet<string>, ids: readonly string[], on: boolean): ReadonlySet<string> {
  const next = new Set(now);
  for (const id of ids) {
    if (on) next.add(id);
    else next.delete(id);
  }
  return next;
}

/** One question for the runs of each experiment, one for everything else; ends at the first that is refused. */
async function restoreItems(items: readonly TrashItem[]): Promise<number> {
  let done = 0;
  const runs = items.filter((item) => item.kind === "run");
  for (const experiment of new Set(runs.map((item) => item.experiment_id))) {
    const ids = runs.filter((item) => item.experiment_id === experiment).map((item) => item.id);
    done += (await restoreRuns(experiment, ids)).length;
  }
  for (const { kind, id } of items) {
    if (kind === "run") continue;
    await (kind === "experiment" ? restoreExperiment(id) : restoreLoggedModel(id));
    done += 1;
  }
  return done;
}

function useExperimentNames(): ReadonlyMap<string, string> {
  const { data } = useQuery(experimentsQuery);
  return useMemo(() => new Map(data?.map((row) => [row.experiment_id, row.name])), [data]);
}

function gridColumns(rows: readonly TrashItem[], names: ReadonlyMap<string, string>): GridColumn[] {
  return listColumns(rows, {}, [
    {
      id: "name",
      label: "Name",
      width: 300,
      cell: (item) =>
        item.kind === "run" ? (
          <Link to="/e/$exp/r/$run/$tab" params={{ exp: item.experiment_id, run: item.id, tab: "overview" }}>
            {item.name || item.id.slice(0, 8)}
          </Link>
        ) : (
          <span title={item.id}>{item.name || item.id}</span>
        ),
    },
    {
      id: "experiment",
      label: "Experiment",
      width: 220,
      cell: (item) =>
        item.kind === "experiment" ? (
          <span>{plural(item.runs ?? 0, "run")}</span>
        ) : (
          <span>{names.get(item.experiment_id) ?? `id ${item.experiment_id}`}</span>
        ),
    },
    { id: "deleted", label: "Deleted", width: 140, cell: (item) => <Ago time={item.deleted_time} /> },
    {
      id: "pinned",
      label: "Files needed by",
      width: 320,
      cell: (item) => (
        <span className={styles.chips}>
          {item.pinned_by?.map((version) => (
            <Chip key={version} tone="accent" title="A model version is made of these files: they stay">
              {version}
            </Chip>
          ))}
        </span>
      ),
    },
  ]);
}
