/** How the values of the columns in sight are spread: asked for in blocks, so that a wide table never counts what nobody sees. */

import { useQueries } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { histogramsQuery } from "@/api/queries";
import type { ColumnHistogram } from "@/api/types";
import { blocksInSight, SPREAD_BLOCK } from "@/lib/windowing";

/** Columns passed by while scrolling are not asked for. */
const REST_MS = 150;
/** Columns of the table before those: run, status, start, duration. */
const LEAD = 4;

type Spreads = Readonly<Record<string, ColumnHistogram>>;

interface Asked {
  experimentId: string;
  filter: string;
  columns: readonly string[];
  enabled: boolean;
}

/** What is known, and where to say which places of `columns` are in sight. After a new filter the previous pictures stay until theirs come. */
export function useSpreads({ experimentId, filter, columns, enabled }: Asked) {
  const [sight, setSight] = useState<readonly [number, number]>([0, 1]);
  const blocks = enabled ? blocksInSight(sight, columns.length) : [];
  const found = useQueries({
    queries: blocks.map((block) => ({
      ...histogramsQuery({
        experiment_ids: [experimentId],
        filter,
        columns: columns.slice(block * SPREAD_BLOCK, (block + 1) * SPREAD_BLOCK),
        bins: 12,
        top: 8,
      }),
      retry: false,
    })),
    combine,
  });
  const kept = useRef<{ key: string; found: Spreads; all: Spreads }>({ key: "", found: {}, all: {} });
  const key = `${experimentId}\n${enabled}`;
  if (kept.current.key !== key) kept.current = { key, found: {}, all: {} };
  if (kept.current.found !== found) kept.current = { key, found, all: { ...kept.current.all, ...found } };
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const onColumns = useCallback((first: number, end: number) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setSight([first - LEAD, end - LEAD]), REST_MS);
  }, []);
  return { spreads: kept.current.all, onColumns };
}

function combine(results: readonly { data?: { columns?: Spreads } | undefined }[]): Spreads {
  return Object.assign({}, ...results.map((result) => result.data?.columns));
}
