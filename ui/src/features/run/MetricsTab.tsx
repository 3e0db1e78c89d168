/** Every metric of a run with its extremes and the steps at which it had them. */

import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import type { MetricSummary } from "@/api/types";
import { SearchInput } from "@/components/SearchInput";
import { EmptyState } from "@/components/States";
import { Ago, Num } from "@/components/Value";
import { plural, toNumber } from "@/lib/format";
import { nextSort, type SortKey } from "@/lib/search";
import { Grid, type GridColumn } from "@/table/Grid";
import styles from "./RunPage.module.css";

const route = getRouteApi("/e/$exp/r/$run/$tab");
type Field = keyof MetricSummary;

export function MetricsTab({ metrics }: { metrics: readonly MetricSummary[] }) {
  const { exp, run } = route.useParams();
  const [search, setSearch] = useState("");
  const [sort, setSort] = useState<SortKey | null>(null);
  const rows = useMemo(() => arrange(metrics, search, sort), [metrics, search, sort]);
  const columns = useMemo<GridColumn[]>(() => {
    const number = (id: Field, label: string, width = 104): GridColumn => ({
      id,
      label,
      width,
      align: "end",
      sortable: true,
      cell: (row) => <Num value={rows[row]?.[id]} />,
    });
    return [
      {
        id: "key",
        label: "Metric",
        width: 260,
        sortable: true,
        cell: (row) => (
          <Link
            to="/e/$exp/r/$run/$tab"
            params={{ exp, run, tab: "charts" }}
            search={{ m: rows[row]?.key }}
            title={rows[row]?.key}
          >
            {rows[row]?.key}
          </Link>
        ),
      },
      number("last", "Last"),
      number("minimum", "Min"),
      number("minimum_step", "at step", 90),
      number("maximum", "Max"),
      number("maximum_step", "at step", 90),
      number("mean", "Mean"),
      number("count", "Points", 90),
      number("non_finite", "Not finite", 90),
      number("first_step", "First step", 92),
      number("last_step", "Last step", 92),
      {
        id: "last_timestamp",
        label: "Logged",
        width: 120,
        sortable: true,
        cell: (row) => <Ago time={rows[row]?.last_timestamp} />,
      },
    ];
  }, [rows, exp, run]);
  if (metrics.length === 0) {
    return (
      <EmptyState title="No metrics yet">
        <p>
          Log one: <code>runlore.log_metric("loss", 0.5, step=1)</code>
        </p>
      </EmptyState>
    );
  }
  return (
    <>
      <div className={styles.bar}>
        <SearchInput main label="Search metrics" value={search} onChange={setSearch} />
        <span>
          {rows.length === metrics.length
            ? plural(rows.length, "metric")
            : `${rows.length} of ${plural(metrics.length, "metric")}`}
        </span>
      </div>
      {rows.length === 0 ? (
        <p className={styles.none}>The search hides all {plural(metrics.length, "metric")}.</p>
      ) : (
        <Grid
          label="Metrics"
          columns={columns}
          rowCount={rows.length}
          rowId={(row) => rows[row]?.key ?? null}
          sort={sort}
          onSort={(column) => setSort(nextSort(sort, column))}
          resetKey={search}
        />
      )}
    </>
  );
}

function arrange(metrics: readonly MetricSummary[], search: string, sort: SortKey | null): MetricSummary[] {
  const needle = search.toLowerCase();
  const found = metrics.filter((metric) => metric.key.toLowerCase().includes(needle));
  const field = (sort?.column ?? "key") as Field;
  const direction = sort?.descending ? -1 : 1;
  return found.sort((left, right) => {
    if (field === "key") return direction * left.key.localeCompare(right.key, undefined, { numeric: true });
    const [a, b] = [toNumber(left[field] ?? 0) ?? 0, toNumber(right[field] ?? 0) ?? 0];
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
    return direction * (a - b);
  });
}
