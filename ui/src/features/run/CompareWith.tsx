/** Choosing what a run is compared with: its parent, or another run of the experiment. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Columns2 } from "lucide-react";
import { useMemo, useState } from "react";
import { runsQuery } from "@/api/queries";
import { useRunStyles } from "@/api/styles";
import type { RunOverview } from "@/api/types";
import { Button } from "@/components/Button";
import { Popover } from "@/components/Popover";
import { RunChip } from "@/components/Run";
import { SearchInput } from "@/components/SearchInput";
import { MOST_COMPARED } from "@/lib/search";
import styles from "./RunPage.module.css";

const OFFERED = 12;
const NOBODY: string[] = [];

export function CompareWith({ overview }: { overview: RunOverview }) {
  return (
    <Popover
      title="Compare with"
      trigger={
        <Button>
          <Columns2 size={14} strokeWidth={1.5} aria-hidden="true" />
          Compare
        </Button>
      }
    >
      <Choice overview={overview} />
    </Popover>
  );
}

function Choice({ overview }: { overview: RunOverview }) {
  const [wanted, setWanted] = useState("");
  const { run_id: runId, experiment_id: experiment } = overview.run.info;
  const named = wanted.trim().replace(/[\\'%_]/g, "_");
  const { data } = useQuery(
    runsQuery({
      experiment_ids: [experiment ?? "0"],
      filter: named
        ? `attributes.run_name ILIKE '%${named}%' AND attributes.run_id != '${runId}'`
        : `attributes.run_id != '${runId}'`,
      sort: [{ column: "attributes.start_time", descending: true }],
      columns: ["attributes.run_name", "attributes.status"],
      limit: OFFERED,
    }),
  );
  const ids = data?.run_ids ?? NOBODY;
  const styleOf = useRunStyles(experiment ?? "0", ids);
  const family = useMemo(() => [runId, ...overview.children].slice(0, MOST_COMPARED), [runId, overview.children]);
  return (
    <>
      <SearchInput label="Find runs by name" value={wanted} onChange={setWanted} />
      <ul className={styles.choice}>
        {!wanted && overview.parent_run_id && (
          <li>
            <Link to="/compare" search={{ runs: [overview.parent_run_id, runId] }}>
              Its parent
            </Link>
          </li>
        )}
        {!wanted && family.length > 2 && (
          <li>
            <Link to="/compare" search={{ runs: family }}>
              Its {family.length - 1} nested runs
            </Link>
          </li>
        )}
        {ids.map((id, place) => (
          <li key={id}>
            <Link to="/compare" search={{ runs: [runId, id] }}>
              <RunChip
                runId={id}
                name={String(data?.columns["attributes.run_name"]?.[place] ?? "")}
                status={String(data?.columns["attributes.status"]?.[place] ?? "")}
                style={styleOf?.(id) ?? null}
              />
            </Link>
          </li>
        ))}
        {data && ids.length === 0 && <li className={styles.none}>No other run {wanted && `is called “${wanted}”`}</li>}
      </ul>
    </>
  );
}
