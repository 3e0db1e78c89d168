/** Every metric of a run with its extremes and the steps at which it had them. */

import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import type { MetricSummary } from "@/api/types";
import { SearchInput } from "@/components/SearchInput";
import { EmptyState } from "@/components/States";
import { Ago, Num } from "@/components/Value";
import { plural, toNumber } from "@/lib/format";
import { nextSort, type SortKey } from "@/lib/search";
import { Grid } from "@/table/Grid";
import { arrange, listColumns, type SortValues } from "@/table/list";
import styles from "./RunPage.module.css";

const route = getRouteApi("/e/$exp/r/$run/$tab");
type Field = keyof MetricSummary;
const BY_NAME: SortKey = { column: "key", descending: false };
const NUMBERS = [
  ...(["last", "minimum", "minimum_step", "maximum", "maximum_step", "mean", "count", "non_finite"] as const),
  ...(["first_step", "last_step", "last_timestamp"] as const),
];
const VALUES: SortValues<MetricSummary> = {
  key: (row) => row.key,
  ...Object.fromEntries(NUMBERS.map((field) => [field, (row: MetricSummary) => toNumber(row[field] ?? 0) ?? 0])),
};

export function MetricsTab({ metrics }: { metrics: readonly MetricSummary[] }) {
  const { exp, run } = route.useParams();
  const [search, setSearch] = useState("");
  const [sort, setSort] = useState<SortKey | null>(null);
  const rows = useMemo(
    () => arrange(metrics, search, ({ key }) => [key], sort ?? BY_NAME, VALUES),
    [metrics, search, sort],
  );
  const columns = useMemo(() => {
    const number = (id: Field, label: string, width = 104) => ({
      id,
      label,
      width,
      align: "end" as const,
      cell: (row: MetricSummary) => <Num value={row[id]} />,
    });
    return listColumns(rows, VALUES, [
      {
        id: "key",
        label: "Metric",
        width: 260,
        cell: ({ key }) => (
          <Link to="/e/$exp/r/$run/$tab" params={{ exp, run, tab: "charts" }} search={{ m: key }} title={key}>
            {key}
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
      { id: "last_timestamp", label: "Logged", width: 120, cell: (row) => <Ago time={row.last_timestamp} /> },
    ]);
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
