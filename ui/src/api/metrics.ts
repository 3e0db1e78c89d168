/** Which metrics some runs have: what the charts pages draw cards for. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { parseColumn } from "@/lib/columns";
import { formatCount } from "@/lib/format";
import { columnsQuery, runsQuery } from "./queries";
import type { ColumnCatalogue } from "./types";

/** Columns that one request may ask for. */
const MOST_METRICS = 500;

export interface LoggedMetric {
  key: string;
  /** No shown run has more than one point of it: nothing develops, so its chart comes last. */
  single: boolean;
  /** How many of the runs have it. */
  runs: number;
}

interface Logged {
  /** `undefined` until they are known. */
  metrics: LoggedMetric[] | undefined;
  /** What was not looked at, in words. */
  note: string | undefined;
  error: Error | null;
  refetch: () => void;
}

/** The metrics that at least one of the runs has; where there are very many, those that contain `wanted`. */
export function useLoggedMetrics(
  experimentIds: readonly string[],
  runIds: readonly string[] | undefined,
  wanted: string | undefined,
): Logged {
  const catalogue = useMetricCatalogue(experimentIds, wanted);
  const counts = useMemo(
    () => catalogue.data?.columns.filter((entry) => entry.kind === "metrics").map((entry) => `${entry.name}@count`),
    [catalogue.data],
  );
  const table = useQuery({
    ...runsQuery({
      experiment_ids: [...experimentIds],
      filter: `attributes.run_id IN (${runIds?.map((id) => `'${id}'`).join(", ")})`,
      columns: counts ?? [],
      limit: Math.max(1, runIds?.length ?? 1),
      view_type: "ALL",
    }),
    enabled: Boolean(counts && runIds?.length),
    placeholderData: keepPreviousData,
  });
  const metrics = useMemo(
    () =>
      table.data &&
      Object.entries(table.data.columns).flatMap(([name, values]) => {
        const points = values.filter((value) => value !== null).map(Number);
        if (points.length === 0) return [];
        return [{ key: parseColumn(name).key, single: Math.max(...points) <= 1, runs: points.length }];
      }),
    [table.data],
  );
  return {
    metrics,
    note: sayMetrics(catalogue.data, wanted),
    error: catalogue.error ?? table.error,
    refetch: () => {
      catalogue.refetch();
      table.refetch();
    },
  };
}

/** The metrics that most runs have; where there are more, a search by name asks the server. */
function useMetricCatalogue(experimentIds: readonly string[], wanted: string | undefined) {
  const all = useQuery({ ...columnsQuery(experimentIds, "metrics.", MOST_METRICS), enabled: experimentIds.length > 0 });
  const deeper = wanted !== undefined && (all.data?.total ?? 0) > MOST_METRICS;
  const found = useQuery({ ...columnsQuery(experimentIds, wanted, MOST_METRICS), enabled: deeper });
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
