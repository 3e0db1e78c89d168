/** The runs around a run: its parent, and its children with what tells them apart. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { columnsQuery, runsQuery } from "@/api/queries";
import { useRunStyles } from "@/api/styles";
import type { RunOverview, RunTable } from "@/api/types";
import { Card } from "@/components/Page";
import { RunChip } from "@/components/Run";
import { Num } from "@/components/Value";
import type { RunStyle } from "@/lib/colours";
import { defaultColumns, parseColumn } from "@/lib/columns";
import { plural } from "@/lib/format";
import styles from "./RunPage.module.css";

const IDENTITY = ["attributes.run_name", "attributes.status"];
/** Children shown here; the table of the experiment has them all. */
const MOST_CHILDREN = 50;
const MOST_OF_A_KIND = 3;
const NOBODY: string[] = [];

function useRuns(experimentId: string, ids: readonly string[], columns: readonly string[], ready = true) {
  return useQuery({
    ...runsQuery({
      experiment_ids: [experimentId],
      filter: `attributes.run_id IN (${ids.map((id) => `'${id}'`).join(", ")})`,
      columns: [...IDENTITY, ...columns],
      limit: MOST_CHILDREN,
      view_type: "ALL",
    }),
    enabled: ready && ids.length > 0,
  });
}

interface NamedProps {
  experimentId: string;
  runId: string;
  table: RunTable | undefined;
  style: RunStyle | null;
}

function Named({ experimentId, runId, table, style }: NamedProps) {
  const index = table?.run_ids.indexOf(runId) ?? -1;
  const field = (name: string) => table?.columns[name]?.[index] as string | undefined;
  return (
    <Link to="/e/$exp/r/$run/$tab" params={{ exp: experimentId, run: runId, tab: "overview" }}>
      <RunChip
        runId={runId}
        name={field("attributes.run_name") ?? runId.slice(0, 8)}
        status={field("attributes.status")}
        style={style}
      />
    </Link>
  );
}

export function Parent({ overview }: { overview: RunOverview }) {
  const exp = overview.run.info.experiment_id ?? "0";
  const parent = overview.parent_run_id;
  const ids = useMemo(() => (parent ? [parent] : NOBODY), [parent]);
  const { data } = useRuns(exp, ids, []);
  const styleOf = useRunStyles(exp, ids);
  if (!parent) return null;
  return (
    <Card flush title="Parent run">
      <ul className={styles.rows}>
        <li>
          <Named experimentId={exp} runId={parent} table={data} style={styleOf?.(parent) ?? null} />
        </li>
      </ul>
    </Card>
  );
}

/** The children, newest last, with the params that differ and the metrics that most have. */
export function Children({ overview }: { overview: RunOverview }) {
  const exp = overview.run.info.experiment_id ?? "0";
  const { children } = overview;
  const ids = useMemo(() => children.slice(0, MOST_CHILDREN), [children]);
  const catalogue = useQuery({ ...columnsQuery([exp]), enabled: ids.length > 0 });
  const wanted = useMemo(() => defaultColumns(catalogue.data?.columns ?? []), [catalogue.data]);
  const { data } = useRuns(exp, ids, wanted, !catalogue.isPending);
  const columns = useMemo(() => telling(wanted, data), [wanted, data]);
  const styleOf = useRunStyles(exp, ids);
  if (ids.length === 0) return null;
  return (
    <Card flush title={`Nested runs (${children.length})`}>
      <div className={styles.wide}>
        <table className={styles.table} aria-label="Nested runs">
          <thead>
            <tr>
              <th scope="col">Run</th>
              {columns.map((column) => (
                <th key={column} scope="col" className={styles.end} title={column}>
                  {parseColumn(column).key}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {ids.map((id) => (
              <tr key={id}>
                <th scope="row">
                  <Named experimentId={exp} runId={id} table={data} style={styleOf?.(id) ?? null} />
                </th>
                {columns.map((column) => (
                  <td key={column} className={styles.end}>
                    <Cell column={column} value={data?.columns[column]?.[data.run_ids.indexOf(id)]} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {children.length > ids.length && (
        <p className={styles.none}>
          {MOST_CHILDREN} of {plural(children.length, "nested run")}.
        </p>
      )}
    </Card>
  );
}

/** Of the wanted columns those that tell the children apart: differing params, then metrics that any of them has. */
function telling(wanted: readonly string[], table: RunTable | undefined): string[] {
  const values = (column: string) => new Set((table?.columns[column] ?? []).filter((value) => value !== null));
  const of = (kind: string, least: number) =>
    wanted
      .filter((column) => parseColumn(column).kind === kind && values(column).size >= least)
      .slice(0, MOST_OF_A_KIND);
  return [...of("params", 2), ...of("metrics", 1)];
}

function Cell({ column, value }: { column: string; value: string | number | null | undefined }) {
  return parseColumn(column).kind === "metrics" ? <Num value={value} /> : (value ?? "–");
}
