/** The learning curves of one run. */

import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { ChartLine } from "lucide-react";
import { useMemo } from "react";
import { useRunStyles } from "@/api/styles";
import type { RunOverview } from "@/api/types";
import { ChartsPanel } from "@/charts/ChartsPanel";
import { EmptyState } from "@/components/States";
import { Snippet } from "@/components/Value";

const route = getRouteApi("/e/$exp/r/$run/$tab");

export default function ChartsTab({ overview }: { overview: RunOverview }) {
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/e/$exp/r/$run/$tab" });
  const { info } = overview.run;
  const metrics = useMemo(
    () => overview.metrics.map((metric) => ({ key: metric.key, single: metric.count <= 1 })),
    [overview.metrics],
  );
  const together = useMemo(() => [info.run_id], [info.run_id]);
  const styleOf = useRunStyles(info.experiment_id ?? "0", together);
  const runs = useMemo(
    () => (styleOf ? [{ id: info.run_id, name: info.run_name ?? "", style: styleOf(info.run_id) }] : []),
    [info.run_id, info.run_name, styleOf],
  );
  if (metrics.length === 0) {
    return (
      <EmptyState title="No metrics yet" icon={<ChartLine size={20} strokeWidth={1.5} />}>
        <Snippet label="snippet" code={'for step in range(100):\n    runlore.log_metric("loss", loss, step=step)'} />
      </EmptyState>
    );
  }
  return (
    <ChartsPanel
      metrics={metrics}
      runs={runs}
      search={search}
      onSearch={(next) => navigate({ search: (old) => ({ ...old, ...next }), replace: true })}
    />
  );
}
