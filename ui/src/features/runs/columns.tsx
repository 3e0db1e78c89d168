/** The runs table's columns: how each kind of value is shown. */

import { Link } from "@tanstack/react-router";
import { ChevronDown, ChevronRight, CornerDownRight } from "lucide-react";
import type { ColumnHistogram } from "@/api/types";
import { RunChip, StatusDot } from "@/components/Run";
import { Ago, Num } from "@/components/Value";
import type { RunStyle } from "@/lib/colours";
import { parseColumn } from "@/lib/columns";
import { formatDuration, toNumber } from "@/lib/format";
import type { GridColumn } from "@/table/Grid";
import styles from "./RunsPage.module.css";
import { Spread } from "./Spread";
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
  /** Runs that the charts show; others are hollow. */
  charted: ReadonlySet<string>;
  styleOf: ((runId: string) => RunStyle) | undefined;
  /** Names of runs that are parents of shown ones, by id. */
  parentNames: ReadonlyMap<string, string>;
  numeric: ReadonlySet<string>;
  spreads: Readonly<Record<string, ColumnHistogram>>;
  /** Running runs that were not heard of. */
  lost: ReadonlySet<string>;
  /** Adds a condition to the filter. */
  onFilter: (condition: string) => void;
}

export function gridColumns(options: Options): GridColumn[] {
  const { rows, columns } = options;
  return [
    {
      id: "attributes.run_name",
      label: "Run",
      width: 250,
      sortable: true,
      cell: (row) => <RunCell {...options} row={row} />,
    },
    {
      id: "attributes.status",
      label: "Status",
      width: 96,
      sortable: true,
      cell: (row) => <StatusDot status={statusOf(options, row)} words />,
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
    ...columns
      .filter((column) => !FIXED.slice(0, 3).includes(column))
      .map((column) => ({ ...chosen(column, options), spread: spread(column, options) })),
  ];
}

function statusOf({ rows, lost }: Options, row: number): string {
  const status = String(rows.cell(row, "attributes.status") ?? "");
  return status === "RUNNING" && lost.has(rows.id(row) ?? "") ? "LOST" : status;
}

function spread(column: string, { spreads, onFilter }: Options) {
  const histogram = spreads[column];
  return histogram && <Spread column={column} histogram={histogram} onFilter={onFilter} />;
}

/** The run's chip, indented under its parent; where the parent is not right above, a word says whose child it is. */
function RunCell(props: Options & { row: number }) {
  const { experimentId, rows, charted, styleOf, parentNames, row } = props;
  const id = rows.id(row) ?? "";
  const name = String(rows.cell(row, "attributes.run_name") ?? "");
  const { depth, parent, under, folded } = rows.nest(row);
  const parentName = parent && (parentNames.get(parent) ?? parent.slice(0, 8));
  return (
    <span className={styles.run} style={{ paddingLeft: depth * 18 }}>
      {folded !== null ? (
        <button
          type="button"
          className={styles.fold}
          aria-expanded={!folded}
          aria-label={`Nested runs of ${name || id.slice(0, 8)}`}
          onClick={() => rows.fold(id)}
        >
          {folded ? <ChevronRight size={14} aria-hidden="true" /> : <ChevronDown size={14} aria-hidden="true" />}
        </button>
      ) : (
        rows.tree && <span className={styles.unfold} />
      )}
      <Link to="/e/$exp/r/$run/$tab" params={{ exp: experimentId, run: id, tab: "overview" }} className={styles.name}>
        <RunChip
          runId={id}
          name={name}
          status={statusOf(props, row)}
          style={styleOf?.(id) ?? null}
          hollow={!charted.has(id)}
          most={30}
        />
      </Link>
      {parentName && !under && (
        <span className={styles.child} title={`Child of ${parentName}`}>
          <CornerDownRight size={12} strokeWidth={1.5} aria-hidden="true" />
          <span className="visually-hidden">child of </span>
          {parentName}
        </span>
      )}
    </span>
  );
}

function Duration({ rows, row }: { rows: RunRows; row: number }) {
  const start = toNumber(rows.cell(row, "attributes.start_time"));
  const end = toNumber(rows.cell(row, "attributes.end_time"));
  if (start === null) return <span className={styles.faint}>–</span>;
  if (end !== null) return <span>{formatDuration(end - start)}</span>;
  return <span className={styles.faint}>{formatDuration(Math.max(0, Date.now() - start))}</span>;
}

/** Several kinds have this key: a param and a metric are called `lr`. */
function isShared(column: string, columns: readonly string[]): boolean {
  const { kind, key } = parseColumn(column);
  return columns.map(parseColumn).some((other) => other.key === key && other.kind !== kind);
}

function chosen(column: string, { rows, columns, numeric }: Options): GridColumn {
  const { kind, key, aggregate } = parseColumn(column);
  const end = kind === "metrics" || numeric.has(column);
  const label = kind === "attributes" ? (ATTRIBUTES[key] ?? key) : key.replace(/^mlflow\./, "");
  const measured = aggregate !== "last" ? aggregate : isShared(column, columns) ? "metric" : undefined;
  const note = kind === "metrics" ? measured : kind === "tags" ? "tag" : undefined;
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
