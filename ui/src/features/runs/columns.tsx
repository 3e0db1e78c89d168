/** The runs table's columns: how each kind of value is shown. */

import { Link } from "@tanstack/react-router";
import { RunChip, StatusDot } from "@/components/Run";
import { Ago, Num } from "@/components/Value";
import { ownStyle, type RunStyle } from "@/lib/colours";
import { parseColumn } from "@/lib/columns";
import { formatDuration, toNumber } from "@/lib/format";
import type { GridColumn } from "@/table/Grid";
import styles from "./RunsPage.module.css";
import type { RunRows } from "./useRunRows";

/** Columns that every table has, whatever else was chosen. */
export const FIXED = ["attributes.run_name", "attributes.status", "attributes.start_time", "attributes.end_time"];

/** Attributes that may be added, with their names for people. */
export const ATTRIBUTES: Record<string, string> = {
  user_id: "User",
  end_time: "Ended",
  run_id: "Run id",
  lifecycle_stage: "Lifecycle",
};

interface Options {
  experimentId: string;
  rows: RunRows;
  columns: readonly string[];
  /** Styles of the runs that the charts show; others are hollow. */
  charted: ReadonlyMap<string, RunStyle>;
  numeric: ReadonlySet<string>;
}

export function gridColumns({ experimentId, rows, columns, charted, numeric }: Options): GridColumn[] {
  const name = (row: number) => String(rows.cell(row, "attributes.run_name") ?? "");
  return [
    {
      id: "attributes.run_name",
      label: "Run",
      width: 240,
      sortable: true,
      cell: (row) => {
        const id = rows.id(row) ?? "";
        return (
          <Link
            to="/e/$exp/r/$run/$tab"
            params={{ exp: experimentId, run: id, tab: "overview" }}
            className={styles.name}
          >
            <RunChip
              runId={id}
              name={name(row)}
              status={String(rows.cell(row, "attributes.status") ?? "")}
              style={charted.get(id) ?? ownStyle(id)}
              hollow={!charted.has(id)}
              most={30}
            />
          </Link>
        );
      },
    },
    {
      id: "attributes.status",
      label: "Status",
      width: 96,
      sortable: true,
      cell: (row) => <StatusDot status={String(rows.cell(row, "attributes.status") ?? "")} words />,
    },
    {
      id: "attributes.start_time",
      label: "Started",
      width: 108,
      sortable: true,
      cell: (row) => <Ago time={toNumber(rows.cell(row, "attributes.start_time"))} />,
    },
    {
      id: "attributes.duration",
      label: "Duration",
      width: 88,
      align: "end",
      sortable: true,
      cell: (row) => <Duration rows={rows} row={row} />,
    },
    ...columns.filter((column) => !FIXED.slice(0, 3).includes(column)).map((column) => chosen(column, rows, numeric)),
  ];
}

function Duration({ rows, row }: { rows: RunRows; row: number }) {
  const start = toNumber(rows.cell(row, "attributes.start_time"));
  const end = toNumber(rows.cell(row, "attributes.end_time"));
  if (start === null) return <span className={styles.faint}>–</span>;
  if (end !== null) return <span>{formatDuration(end - start)}</span>;
  return <span className={styles.faint}>{formatDuration(Math.max(0, Date.now() - start))}</span>;
}

function chosen(column: string, rows: RunRows, numeric: ReadonlySet<string>): GridColumn {
  const { kind, key, aggregate } = parseColumn(column);
  const end = kind === "metrics" || numeric.has(column);
  const label = kind === "attributes" ? (ATTRIBUTES[key] ?? key) : key.replace(/^mlflow\./, "");
  const note = kind === "metrics" && aggregate !== "last" ? aggregate : kind === "tags" ? "tag" : undefined;
  return {
    id: column,
    label,
    note,
    width: Math.max(84, Math.min(220, label.length * 7 + (note ? note.length * 6.5 + 8 : 0) + 40)),
    align: end ? "end" : undefined,
    sortable: true,
    cell: (row) => {
      const value = rows.cell(row, column);
      if (value === undefined) return null;
      if (value === null) return <span className={styles.faint}>–</span>;
      if (kind === "metrics") return <Num value={value} />;
      if (kind === "attributes" && key.endsWith("_time")) return <Ago time={toNumber(value)} />;
      return <span title={String(value)}>{String(value)}</span>;
    },
  };
}
