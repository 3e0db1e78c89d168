/** Everything about one run: head, tabs, and what each tab shows. */

import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { Trash2 } from "lucide-react";
import { lazy, Suspense, useMemo } from "react";
import { renameRun, restoreRuns, useChange, useDeleteRuns } from "@/api/changes";
import { livesQuery, overviewQuery } from "@/api/queries";
import { useRunStyles } from "@/api/styles";
import type { RunOverview } from "@/api/types";
import { Button, IconButton } from "@/components/Button";
import { editName, InlineEdit } from "@/components/InlineEdit";
import { Page, PageHead, tabClass } from "@/components/Page";
import { StatusDot, Swatch } from "@/components/Run";
import { ErrorState, Skeleton } from "@/components/States";
import { Ago, CopyButton } from "@/components/Value";
import { formatDuration } from "@/lib/format";
import { useKeys } from "@/lib/keys";
import { useNow } from "@/lib/now";
import { CompareWith } from "./CompareWith";
import { MetricsTab } from "./MetricsTab";
import { Overview } from "./Overview";
import { ParamsTab } from "./ParamsTab";
import styles from "./RunPage.module.css";

const ChartsTab = lazy(() => import("./ChartsTab"));
const ConsoleTab = lazy(() => import("./ConsoleTab"));
const ArtifactsTab = lazy(() => import("./artifacts/ArtifactsTab"));

export const TABS = ["overview", "charts", "metrics", "params", "artifacts", "console"] as const;
export type Tab = (typeof TABS)[number];
const TITLES: Record<Tab, string> = {
  overview: "Overview",
  charts: "Charts",
  metrics: "Metrics",
  params: "Params & tags",
  artifacts: "Artifacts",
  console: "Console",
};

const route = getRouteApi("/e/$exp/r/$run/$tab");

export function RunPage() {
  const { exp, run: runId, tab } = route.useParams();
  const navigate = useNavigate();
  const query = useQuery(overviewQuery(runId));
  const overview = query.data;
  const open = TABS.includes(tab as Tab) ? (tab as Tab) : "overview";
  useKeys(
    TABS.map((each, index) => ({
      keys: String(index + 1),
      does: TITLES[each],
      run: () => navigate({ to: "/e/$exp/r/$run/$tab", params: { exp, run: runId, tab: each } }),
    })),
  );
  const fixed = open === "artifacts" || open === "metrics";
  return (
    <Page fixed={fixed} head={<Head overview={overview} exp={exp} runId={runId} />}>
      {query.error && <ErrorState error={query.error} retry={() => query.refetch()} />}
      {query.isPending && <Skeleton />}
      {overview && (
        <Suspense fallback={<Skeleton />}>
          {open === "overview" && <Overview overview={overview} />}
          {open === "charts" && <ChartsTab overview={overview} />}
          {open === "metrics" && <MetricsTab metrics={overview.metrics} />}
          {open === "params" && <ParamsTab overview={overview} />}
          {open === "console" && <ConsoleTab run={overview.run} />}
          {open === "artifacts" && <ArtifactsTab run={overview.run} />}
        </Suspense>
      )}
    </Page>
  );
}

function Head({ overview, exp, runId }: { overview: RunOverview | undefined; exp: string; runId: string }) {
  const info = overview?.run.info;
  const together = useMemo(() => [runId], [runId]);
  const styleOf = useRunStyles(exp, together);
  const name = info?.run_name || runId.slice(0, 8);
  const deleted = info?.lifecycle_stage === "deleted";
  const change = useChange();
  const { data: lives } = useQuery(livesQuery(info?.status === "RUNNING" ? [runId] : []));
  const life = lives?.[0];
  const lost = life?.status === "LOST";
  return (
    <PageHead
      name={name}
      title={
        <>
          <Swatch style={styleOf?.(runId) ?? null} />
          {info && !deleted ? (
            <InlineEdit
              label="run name"
              value={name}
              onSave={(next) => change(() => renameRun(runId, next), { words: `Renamed to ${next}.` })}
            />
          ) : (
            name
          )}
        </>
      }
      tools={overview && <Tools overview={overview} deleted={deleted} />}
      meta={
        info && (
          <>
            <StatusDot status={lost ? "LOST" : (info.status ?? "RUNNING")} words />
            {lost && (
              <span>
                last heard <Ago time={life.last_heard} />
              </span>
            )}
            {deleted && <strong className={styles.deleted}>In the trash</strong>}
            <span>
              Started <Ago time={info.start_time} />
            </span>
            {!lost && <Took start={info.start_time} end={info.end_time} />}
            {info.user_id && <span>by {info.user_id}</span>}
            <span className={styles.id}>
              <code>{runId.slice(0, 8)}</code>
              <CopyButton text={runId} label="Copy run id" />
            </span>
          </>
        )
      }
      tabs={TABS.map((tab) => (
        <Link
          key={tab}
          to="/e/$exp/r/$run/$tab"
          params={{ exp, run: runId, tab }}
          className={tabClass}
          activeOptions={{ includeSearch: false }}
        >
          {TITLES[tab]}
        </Link>
      ))}
    />
  );
}

function Tools({ overview, deleted }: { overview: RunOverview; deleted: boolean }) {
  const { run_id: runId, experiment_id: experimentId } = overview.run.info;
  const change = useChange();
  const deleteRuns = useDeleteRuns();
  const chosen = { experimentId: experimentId ?? "0", runIds: [runId] };
  useKeys(deleted ? [] : [{ keys: "e", does: "Change the run's name", run: editName }]);
  if (deleted) {
    const restore = () => restoreRuns(chosen.experimentId, [runId]);
    return <Button onClick={() => change(restore, { words: "Run restored." })}>Restore</Button>;
  }
  return (
    <>
      <CompareWith overview={overview} />
      <IconButton label="Delete run" onClick={() => deleteRuns(chosen)}>
        <Trash2 size={15} strokeWidth={1.5} />
      </IconButton>
    </>
  );
}

function Took({ start, end }: { start: number | null | undefined; end: number | null | undefined }) {
  const now = useNow();
  if (!start) return null;
  return (
    <span>
      {end ? `took ${formatDuration(end - start)}` : `running for ${formatDuration(Math.max(0, now - start))}`}
    </span>
  );
}
