/** Two to fifty runs side by side: what differs between them, and what that did. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { Columns2 } from "lucide-react";
import { lazy, Suspense, useMemo } from "react";
import { compareQuery, identitiesQuery } from "@/api/queries";
import { useMixedStyles } from "@/api/styles";
import { Page, PageHead, tabClass } from "@/components/Page";
import { EmptyState, ErrorState, ProgressLine, Skeleton } from "@/components/States";
import { plural } from "@/lib/format";
import { useKeys } from "@/lib/keys";
import { type CompareSearch, MOST_COMPARED } from "@/lib/search";
import type { ComparedRun } from "./columns";
import { Matrix } from "./Matrix";
import { sayDifferences } from "./rows";

const CompareCharts = lazy(() => import("./CompareCharts"));
const route = getRouteApi("/compare");
const NONE: string[] = [];

export function ComparePage() {
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/compare" });
  const ids = search.runs ?? NONE;
  const change = (next: Partial<CompareSearch>) => navigate({ search: (old) => ({ ...old, ...next }), replace: true });
  const { runs, missing, error, pending } = useCompared(ids);
  const present = useMemo(() => runs.map((run) => run.id), [runs]);
  const comparison = useQuery({
    ...compareQuery(present, search.all ?? false),
    enabled: present.length >= 2,
    placeholderData: keepPreviousData,
  });
  const tab = search.tab ?? "values";
  useKeys([
    { keys: "1", does: "Values", run: () => change({ tab: undefined }) },
    { keys: "2", does: "Charts", run: () => change({ tab: "charts" }) },
  ]);
  const tabs = (["values", "charts"] as const).map((each) => (
    <Link
      key={each}
      from="/compare"
      search={(old) => ({ ...old, tab: each === "values" ? undefined : each })}
      className={tabClass}
      aria-current={each === tab ? "page" : undefined}
      activeProps={{ "aria-current": undefined }}
      activeOptions={{ exact: true, explicitUndefined: true }}
    >
      {each === "values" ? "Values" : "Charts"}
    </Link>
  ));
  const head = (
    <PageHead
      title={ids.length ? `Compare ${plural(ids.length, "run")}` : "Compare runs"}
      meta={comparison.data && <span>{sayDifferences(comparison.data, present.length)}</span>}
      tabs={ids.length > 1 && tabs}
    />
  );
  const failure = error ?? comparison.error;
  return (
    <Page fixed head={head}>
      <ProgressLine active={comparison.isFetching && comparison.isPlaceholderData} />
      {failure && <ErrorState error={failure} retry={() => comparison.refetch()} />}
      {missing > 0 && (
        <ErrorState
          compact
          error={new Error(`${plural(missing, "run")} of the address ${missing === 1 ? "is" : "are"} gone for good.`)}
        />
      )}
      {ids.length < 2 && <TooFew runs={runs} />}
      {(pending || (comparison.isPending && present.length > 1)) && !failure && ids.length > 1 && (
        <Skeleton rows={10} />
      )}
      {comparison.data && present.length > 1 && tab === "values" && (
        <Matrix comparison={comparison.data} runs={runs} search={search} onChange={change} />
      )}
      {comparison.data && present.length > 1 && tab === "charts" && (
        <Suspense fallback={<Skeleton />}>
          <CompareCharts runs={runs} search={search} onChange={change} />
        </Suspense>
      )}
    </Page>
  );
}

/** The runs with name, status and style, in the order of the address. */
function useCompared(ids: readonly string[]) {
  const table = useQuery({ ...identitiesQuery(ids), enabled: ids.length > 0, placeholderData: keepPreviousData });
  const found = useMemo(() => {
    const cell = (name: string, place: number) => String(table.data?.columns[`attributes.${name}`]?.[place] ?? "");
    return ids.flatMap((id) => {
      const place = table.data?.run_ids.indexOf(id) ?? -1;
      if (place < 0) return [];
      const experimentId = cell("experiment_id", place) || "0";
      return [{ id, experimentId, name: cell("run_name", place) || id.slice(0, 8), status: cell("status", place) }];
    });
  }, [ids, table.data]);
  const styleOf = useMixedStyles(found);
  const runs = useMemo<ComparedRun[]>(
    () => found.map((run) => ({ ...run, style: styleOf?.(run.id) ?? null })),
    [found, styleOf],
  );
  const missing = table.data && !table.isPlaceholderData ? ids.length - found.length : 0;
  return { runs, missing, error: table.error, pending: table.isPending };
}

function TooFew({ runs }: { runs: readonly ComparedRun[] }) {
  const only = runs[0];
  return (
    <EmptyState
      title={only ? "One run is not enough" : "No runs to compare"}
      icon={<Columns2 size={20} strokeWidth={1.5} />}
    >
      <p>
        Select 2 to {MOST_COMPARED} runs in a table and choose Compare there, or press <kbd>c</kbd>.
      </p>
      {only ? (
        <Link to="/e/$exp/runs" params={{ exp: only.experimentId }} search={{ sel: [only.id] }}>
          Choose others beside {only.name}
        </Link>
      ) : (
        <Link to="/">Go to experiments</Link>
      )}
    </EmptyState>
  );
}
