/** What the parents of nested runs are called, where they are not among the rows. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { runsQuery } from "@/api/queries";
import { PARENT, type RunRows } from "./useRunRows";

/** Names that one question may ask for: a filter has an end. */
const MOST = 200;
const NAME = "attributes.run_name";

/** Names of the parents of all runs that are here, by run id. */
export function useParentNames(experimentId: string, rows: RunRows): ReadonlyMap<string, string> {
  const { known, asked } = useMemo(() => {
    const known = new Map<string, string>();
    const parents = new Set<string>();
    for (const window of rows.nested ? rows.windows() : []) {
      window.run_ids.forEach((id, place) => {
        known.set(id, String(window.columns[NAME]?.[place] ?? ""));
        const parent = window.columns[PARENT]?.[place];
        if (parent) parents.add(String(parent));
      });
    }
    return { known, asked: [...parents].filter((id) => !known.has(id) && /^\w+$/.test(id)).slice(0, MOST) };
  }, [rows.nested, rows.windows]);
  const { data } = useQuery({
    ...runsQuery({
      experiment_ids: [experimentId],
      filter: `attributes.run_id IN (${asked.map((id) => `'${id}'`).join(", ")})`,
      columns: [NAME],
      limit: MOST,
      view_type: "ALL",
    }),
    enabled: asked.length > 0,
    placeholderData: keepPreviousData,
  });
  return useMemo(() => {
    const found = data?.run_ids.map((id, index): [string, string] => [id, String(data.columns[NAME]?.[index] ?? "")]);
    return new Map([...known, ...(found ?? [])]);
  }, [known, data]);
}
