/** The style of each run, for every page: one question per experiment. */

import { useQuery } from "@tanstack/react-query";
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
