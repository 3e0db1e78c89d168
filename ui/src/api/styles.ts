/** The style of each run, for every page: one question per experiment. */

import { useQueries, useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo } from "react";
import { assignStyles, ownStyle, type RunOrder, type RunStyle } from "@/lib/colours";
import { runOrderQuery } from "./queries";

/** Runs that had to give way to another one: they stay where they went while the page lives. */
const moved = new Map<string, number>();
const NOTHING: RunOrder = new Map();

/** The runs' numbers in their experiment; `undefined` until they are known. Asked again when a run is not among them. */
function useOrder(experimentId: string, ids: readonly string[]): RunOrder | undefined {
  const { data, isError, refetch } = useQuery(runOrderQuery(experimentId));
  const unknown = data ? ids.filter((id) => !data.has(id)).join() : "";
  useEffect(() => {
    if (unknown) refetch();
  }, [unknown, refetch]);
  return data ?? (isError ? NOTHING : undefined);
}

/** Styles of runs that are seen together: no two alike. `undefined` until they are known. */
export function useRunStyles(
  experimentId: string,
  together: readonly string[],
): ((runId: string) => RunStyle) | undefined {
  const order = useOrder(experimentId, together);
  const styles = useMemo(() => order && assignStyles(together, order, moved), [order, together]);
  const styleOf = useCallback(
    (runId: string) => styles?.get(runId) ?? ownStyle(runId, order ?? NOTHING, moved),
    [styles, order],
  );
  return order && styleOf;
}

interface Placed {
  id: string;
  experimentId: string;
}

/** Styles of runs of several experiments that are seen together: each as in its own, where two are alike one gives way. */
export function useMixedStyles(runs: readonly Placed[]): ((runId: string) => RunStyle) | undefined {
  const experiments = useMemo(() => [...new Set(runs.map((run) => run.experimentId))], [runs]);
  const order = useQueries({ queries: experiments.map((id) => runOrderQuery(id)), combine: mixOrders });
  return useMemo(() => {
    if (!order) return undefined;
    const styles = assignStyles(
      runs.map((run) => run.id),
      order,
      moved,
    );
    return (runId: string) => styles.get(runId) ?? ownStyle(runId, order, moved);
  }, [order, runs]);
}

function mixOrders(results: readonly { data?: RunOrder; isPending: boolean }[]): RunOrder | undefined {
  if (results.some((result) => result.isPending)) return undefined;
  return new Map(results.flatMap((result) => [...(result.data ?? NOTHING)]));
}
