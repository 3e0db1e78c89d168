/** Runs as points or as lines over axes: which param goes with which result. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useMemo, useState } from "react";
import { runsQuery } from "@/api/queries";
import { Button } from "@/components/Button";
import { ErrorState, Skeleton } from "@/components/States";
import { columnLabel } from "@/lib/columns";
import { plural } from "@/lib/format";
import type { ChartsSearch } from "@/lib/search";
import { useTheme } from "@/lib/theme";
import styles from "./ExplorePanel.module.css";
import { type Explored, parallelOption, scatterOption } from "./explore";
import type { ChartRun } from "./lines";
import { pageInk } from "./svg";

const EChart = lazy(() => import("./EChart"));

interface ExplorePanelProps {
  view: "scatter" | "parallel";
  experimentIds: readonly string[];
  runs: readonly ChartRun[];
  /** Columns that may be an axis; those that are shown unless others were chosen. */
  columns: readonly string[];
  preset: readonly string[];
  search: ChartsSearch;
  onSearch: (change: Partial<ChartsSearch>) => void;
  onOpen: (runId: string) => void;
  onSelect: (runIds: string[]) => void;
}

const ROLES = ["x", "y", "Colour"];
const MOST_AXES = 12;

export function ExplorePanel(props: ExplorePanelProps) {
  const { view, runs, columns, preset, search, onSearch, onOpen, onSelect } = props;
  const { dark } = useTheme();
  const [brush, setBrush] = useState<string[] | null>(null);
  const axes = search.axes ?? preset;
  const table = useQuery({
    ...runsQuery({
      experiment_ids: [...props.experimentIds],
      filter: `attributes.run_id IN (${runs.map((run) => `'${run.id}'`).join(", ")})`,
      columns: [...axes],
      limit: Math.max(1, runs.length),
      view_type: "ALL",
    }),
    enabled: axes.length > 1,
    placeholderData: keepPreviousData,
  });
  const explored = useMemo<Explored | null>(() => {
    if (!table.data || axes.some((column) => !table.data.columns[column])) return null;
    const { run_ids, columns: cells } = table.data;
    const at = new Map(run_ids.map((id, place) => [id, place]));
    const there = runs.filter((run) => at.has(run.id));
    const values = there.map((run) => axes.map((column) => cells[column]?.[at.get(run.id)!] ?? null));
    return { runs: there, columns: axes, values };
  }, [table.data, runs, axes]);
  const log = search.log ?? false;
  // biome-ignore lint/correctness/useExhaustiveDependencies: another theme has other colours
  const option = useMemo(
    () => explored && (view === "scatter" ? scatterOption : parallelOption)(explored, pageInk(), log),
    [explored, view, log, dark],
  );
  const ids = useMemo(() => drawnIds(explored, view), [explored, view]);
  const setAxes = (next: readonly string[]) => onSearch({ axes: [...next] });
  const left = (explored?.runs.length ?? 0) - ids.length;
  return (
    <div className={styles.panel}>
      <div className={styles.bar}>
        {view === "scatter" &&
          ROLES.map((role, place) => (
            <label key={role}>
              {role}
              <select
                aria-label={role === "Colour" ? role : `${role} axis`}
                value={axes[place] ?? ""}
                onChange={(event) => {
                  const next = [...axes];
                  next[place] = event.target.value;
                  setAxes(next.filter(Boolean));
                }}
              >
                {place === 2 && <option value="">Run</option>}
                <Options columns={columns} also={axes[place]} />
              </select>
            </label>
          ))}
        {view === "parallel" && (
          <>
            {axes.map((column) => (
              <Button
                key={column}
                small
                title="Take this axis away"
                disabled={axes.length <= 2}
                onClick={() => setAxes(axes.filter((each) => each !== column))}
              >
                {columnLabel(column)} ✕
              </Button>
            ))}
            <select
              aria-label="Add an axis"
              value=""
              disabled={axes.length >= MOST_AXES}
              onChange={(event) => event.target.value && setAxes([...axes, event.target.value])}
            >
              <option value="">Add an axis…</option>
              <Options columns={columns.filter((column) => !axes.includes(column))} />
            </select>
          </>
        )}
        <label>
          <input
            type="checkbox"
            checked={log}
            onChange={(event) => onSearch({ log: event.target.checked || undefined })}
          />
          Log axes
        </label>
        {brush && (
          <Button small primary onClick={() => onSelect(brush)}>
            Show these {plural(brush.length, "run")} only
          </Button>
        )}
      </div>
      {table.error && <ErrorState error={table.error} retry={() => table.refetch()} />}
      {axes.length < 2 && <p className={styles.words}>Two columns with values are needed.</p>}
      {option && explored ? (
        <Suspense fallback={<Skeleton />}>
          <EChart
            option={option}
            ids={ids}
            className={styles.chart}
            label={say(view, explored, ids.length)}
            onOpen={onOpen}
            onBrush={setBrush}
          />
        </Suspense>
      ) : (
        axes.length > 1 && !table.error && <Skeleton />
      )}
      <p className={styles.words}>
        {view === "parallel" && "Drag along an axis to mark a part of it. "}
        {left > 0 && `${plural(left, "run")} without a value on one of the axes.`}
      </p>
    </div>
  );
}

function Options({ columns, also }: { columns: readonly string[]; also?: string }) {
  const all = also && !columns.includes(also) ? [also, ...columns] : columns;
  return all.map((column) => (
    <option key={column} value={column}>
      {columnLabel(column)}
      {column.startsWith("params.") ? "" : ` (${column.slice(0, column.indexOf(".")).replace(/s$/, "")})`}
    </option>
  ));
}

/** A scatter plot leaves out runs that lack x or y. */
function drawnIds(explored: Explored | null, view: string): string[] {
  if (!explored) return [];
  const { runs, values } = explored;
  const has = (place: number) => view === "parallel" || values[place]!.slice(0, 2).every((value) => value !== null);
  return runs.filter((_, place) => has(place)).map((run) => run.id);
}

function say(view: string, { columns }: Explored, drawn: number): string {
  const names = columns.map(columnLabel);
  if (view === "parallel") return `Parallel coordinates of ${names.join(", ")}, ${plural(drawn, "run")}.`;
  return `Scatter plot of ${names[1]} against ${names[0]}, ${plural(drawn, "run")}.`;
}
