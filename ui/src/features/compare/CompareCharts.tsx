/** The metrics that the compared runs share, drawn over each other. */

import { useMemo } from "react";
import { useLoggedMetrics } from "@/api/metrics";
import { ChartsPanel } from "@/charts/ChartsPanel";
import { Hoverable } from "@/charts/Hoverable";
import { RunChip } from "@/components/Run";
import { EmptyState, ErrorState, Skeleton } from "@/components/States";
import { plural } from "@/lib/format";
import type { CompareSearch } from "@/lib/search";
import styles from "./Compare.module.css";
import type { ComparedRun } from "./columns";

interface CompareChartsProps {
  runs: readonly ComparedRun[];
  search: CompareSearch;
  onChange: (change: Partial<CompareSearch>) => void;
}

export default function CompareCharts({ runs, search, onChange }: CompareChartsProps) {
  const ids = useMemo(() => runs.map((run) => run.id), [runs]);
  const experiments = useMemo(() => [...new Set(runs.map((run) => run.experimentId))], [runs]);
  const logged = useLoggedMetrics(experiments, ids, search.m);
  const charted = useMemo(
    () => runs.flatMap((run) => (run.style ? [{ id: run.id, name: run.name, style: run.style }] : [])),
    [runs],
  );
  if (logged.error) return <ErrorState error={logged.error} />;
  if (!logged.metrics || charted.length < runs.length) return <Skeleton />;
  const shared = logged.metrics.filter((metric) => metric.runs === runs.length);
  const others = logged.metrics.length - shared.length;
  if (logged.metrics.length === 0) {
    return (
      <EmptyState title="No metrics">
        <p>None of these runs has logged a metric.</p>
      </EmptyState>
    );
  }
  const note = others
    ? `${plural(shared.length, "metric")} that all ${runs.length} runs have; ${plural(others, "other")} that only some have${search.all ? " too" : ""}.`
    : undefined;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
    <div className={styles.charts} tabIndex={0} role="region" aria-label="Charts">
      <ul className={styles.legend} aria-label="Runs in the charts">
        {runs.map((run) => (
          <Hoverable key={run.id} id={run.id}>
            <RunChip runId={run.id} name={run.name} status={run.status} style={run.style} most={24} />
          </Hoverable>
        ))}
      </ul>
      <ChartsPanel
        metrics={search.all ? logged.metrics : shared}
        note={[note, logged.note].filter(Boolean).join(" ") || undefined}
        runs={charted}
        search={search}
        onSearch={onChange}
        tools={
          <label className={styles.check}>
            <input
              type="checkbox"
              checked={!search.all}
              onChange={(event) => onChange({ all: event.target.checked ? undefined : true })}
            />
            Shared metrics only
          </label>
        }
      />
    </div>
  );
}
