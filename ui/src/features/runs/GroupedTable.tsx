/** Runs that share values as one row each: mean ± standard deviation, its runs under it when it is opened. */

import { keepPreviousData, useQueries, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ChevronDown, ChevronRight } from "lucide-react";
import { useMemo, useState } from "react";
import { groupsQuery, runsQuery } from "@/api/queries";
import type { GroupTable, RunTable } from "@/api/types";
import { RunChip } from "@/components/Run";
import { EmptyState, ErrorState, Skeleton } from "@/components/States";
import { Num } from "@/components/Value";
import { columnLabel, parseColumn } from "@/lib/columns";
import { formatCount, formatNumber, fullNumber, plural, toNumber } from "@/lib/format";
import { nextSort, type SortKey } from "@/lib/search";
import { Grid, type GridColumn } from "@/table/Grid";
import styles from "./RunsPage.module.css";

interface GroupedTableProps {
  experimentId: string;
  filter: string;
  by: readonly string[];
  columns: readonly string[];
  sort: SortKey | null;
  onSort: (sort: SortKey | null) => void;
}

/** Groups, and runs of an opened group, that are asked for. */
const MOST_GROUPS = 1000;
const MOST_MEMBERS = 200;
const MOST_COLUMNS = 50;

interface Row {
  group: number;
  /** A run of the group; absent for the group itself. */
  member?: number;
}

export function GroupedTable({ experimentId, filter, by, columns, sort, onSort }: GroupedTableProps) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const shown = useMemo(() => columns.filter((column) => !by.includes(column)).slice(0, MOST_COLUMNS), [columns, by]);
  const sortable = useMemo(() => new Set(["size", ...by, ...shown]), [by, shown]);
  const order = sort && sortable.has(sort.column) ? sort : { column: "size", descending: true };
  const query = useQuery({
    ...groupsQuery({
      experiment_ids: [experimentId],
      filter,
      by: by.map((column) => ({ column })),
      columns: shown,
      sort: order,
      limit: MOST_GROUPS,
    }),
    placeholderData: keepPreviousData,
  });
  const table = query.data;
  const opened = (table?.filters ?? []).filter((each): each is string => each !== null && open.has(each));
  const members = useQueries({
    queries: opened.map((each) =>
      runsQuery({
        experiment_ids: [experimentId],
        filter: filter ? `(${filter}) AND (${each})` : each,
        columns: ["attributes.run_name", "attributes.status", ...shown],
        limit: MOST_MEMBERS,
      }),
    ),
  });
  if (query.error) return <ErrorState error={query.error} retry={() => query.refetch()} />;
  if (!table) return <Skeleton rows={8} />;
  if (!table.sizes?.length) return <EmptyState title="No run matches" />;
  const tables = new Map(opened.map((each, place) => [each, members[place]?.data]));
  const rows: Row[] = table.sizes.flatMap((_, group) => {
    const found = tables.get(table.filters?.[group] ?? "");
    return [{ group }, ...(found?.run_ids.map((_id, member) => ({ group, member })) ?? [])];
  });
  const toggle = (each: string) => {
    const next = new Set(open);
    if (!next.delete(each)) next.add(each);
    setOpen(next);
  };
  const grid = gridColumns({ experimentId, table, tables, rows, by, shown, open, toggle });
  return (
    <>
      <Grid
        label="Groups of runs"
        columns={grid}
        rowCount={rows.length}
        rowId={(row) => (rows[row] ? `${rows[row].group} ${rows[row].member ?? ""}` : null)}
        rowKind={(row) => (rows[row]?.member === undefined ? undefined : "member")}
        sort={order}
        onSort={(column) => onSort(nextSort(order, column))}
        onOpen={(row) => {
          const found = rows[row];
          const filter = found && table.filters?.[found.group];
          if (filter && found.member === undefined) toggle(filter);
        }}
        resetKey={`${filter} ${by.join()}`}
      />
      <footer className={styles.footer}>
        <span role="status">
          {plural(table.total ?? 0, "group")} of {plural(table.runs ?? 0, "run")}
          {(table.total ?? 0) > MOST_GROUPS && ` (the first ${formatCount(MOST_GROUPS)} are here)`}
        </span>
      </footer>
    </>
  );
}

interface Shown {
  experimentId: string;
  table: GroupTable;
  tables: ReadonlyMap<string, RunTable | undefined>;
  rows: readonly Row[];
  by: readonly string[];
  shown: readonly string[];
  open: ReadonlySet<string>;
  toggle: (filter: string) => void;
}

function gridColumns({ experimentId, table, tables, rows, by, shown, open, toggle }: Shown): GridColumn[] {
  const runsOf = (row: Row) => tables.get(table.filters?.[row.group] ?? "");
  return [
    {
      id: by[0]!,
      label: by.map(columnLabel).join(", "),
      width: 280,
      sortable: true,
      cell: (index) => {
        const row = rows[index];
        if (!row) return null;
        const filter = table.filters?.[row.group] ?? "";
        if (row.member !== undefined) {
          const found = runsOf(row);
          const id = found?.run_ids[row.member] ?? "";
          const cell = (name: string) => String(found?.columns[`attributes.${name}`]?.[row.member!] ?? "");
          return (
            <Link
              to="/e/$exp/r/$run/$tab"
              params={{ exp: experimentId, run: id, tab: "overview" }}
              className={styles.member}
            >
              <RunChip runId={id} name={cell("run_name")} status={cell("status")} most={30} />
            </Link>
          );
        }
        // No filter can say what these share.
        if (!filter)
          return (
            <span className={styles.groupName}>{by.map((column) => sayKey(table, column, row.group)).join(", ")}</span>
          );
        const Fold = open.has(filter) ? ChevronDown : ChevronRight;
        const name = by.map((column) => sayKey(table, column, row.group)).join(", ");
        return (
          <button
            type="button"
            className={styles.groupName}
            aria-expanded={open.has(filter)}
            onClick={() => toggle(filter)}
          >
            <Fold size={14} aria-hidden="true" />
            {name}
          </button>
        );
      },
    },
    {
      id: "size",
      label: "Runs",
      width: 80,
      align: "end",
      sortable: true,
      cell: (index) => {
        const row = rows[index];
        return row && row.member === undefined && <span>{formatCount(table.sizes?.[row.group] ?? 0)}</span>;
      },
    },
    ...shown.map(
      (column): GridColumn => ({
        id: column,
        label: columnLabel(column),
        width: 150,
        align: "end",
        sortable: true,
        cell: (index) => {
          const row = rows[index];
          if (!row) return null;
          if (row.member === undefined) return <Mean table={table} column={column} group={row.group} />;
          const value = runsOf(row)?.columns[column]?.[row.member];
          if (value === null || value === undefined) return <span className={styles.faint}>–</span>;
          return parseColumn(column).kind === "metrics" ? <Num value={value} /> : <span>{String(value)}</span>;
        },
      }),
    ),
  ];
}

function sayKey(table: GroupTable, column: string, group: number): string {
  const value = table.keys?.[column]?.[group];
  return value === null || value === undefined ? "none" : String(value);
}

/** `0.812 ± 0.014`; what all share where it is no number. */
function Mean({ table, column, group }: { table: GroupTable; column: string; group: number }) {
  const grouped = table.columns?.[column];
  const mean = toNumber(grouped?.mean?.[group]);
  const shared = grouped?.value?.[group];
  if (mean === null) {
    if (shared !== null && shared !== undefined) return <span>{String(shared)}</span>;
    return (
      <span className={styles.faint} title="No number, and no value that all of them share">
        –
      </span>
    );
  }
  const [std, low, high] = [grouped?.std, grouped?.minimum, grouped?.maximum].map((list) => toNumber(list?.[group]));
  const range = low !== null && high !== null ? `\n${fullNumber(low!)} to ${fullNumber(high!)}` : "";
  return (
    <span title={`mean ${fullNumber(mean)}, n = ${grouped?.count?.[group] ?? 0}${range}`}>
      {formatNumber(mean)}
      {std !== null && std !== undefined && <span className={styles.faint}> ± {formatNumber(std, 2)}</span>}
    </span>
  );
}
