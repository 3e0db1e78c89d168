/** Which of the running runs in the table were not heard of for too long. */

import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { livesQuery } from "@/api/queries";
import type { RunRows } from "./useRunRows";

/** Runs that one question may ask for. */
const MOST = 1000;

/** Ids of lost runs among those that are here. */
export function useLost(rows: RunRows): ReadonlySet<string> {
  const running = useMemo(
    () =>
      rows
        .windows()
        .flatMap((window) =>
          window.run_ids.filter((_, place) => window.columns["attributes.status"]?.[place] === "RUNNING"),
        )
        .slice(0, MOST),
    [rows.windows],
  );
  const { data } = useQuery(livesQuery(running));
  return useMemo(() => new Set(data?.filter((life) => life.status === "LOST").map((life) => life.run_id)), [data]);
}
