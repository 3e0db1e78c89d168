/** A wall of charts: one card per metric, grouped by the part of the name before the slash. */

import { ChevronDown, ChevronRight } from "lucide-react";
import { useMemo, useState } from "react";
import { Segments } from "@/components/Button";
import { SearchInput } from "@/components/SearchInput";
import { plural } from "@/lib/format";
import type { ChartsSearch } from "@/lib/search";
import { ChartCard, type ChartRun } from "./ChartCard";
import styles from "./ChartsPanel.module.css";
import { groupMetrics, type Metric } from "./groups";

interface ChartsPanelProps {
  metrics: readonly Metric[];
  /** What was left out, in words. */
  note?: string;
  runs: readonly ChartRun[];
  search: ChartsSearch;
  onSearch: (change: Partial<ChartsSearch>) => void;
  live: boolean;
}

const AXES = [
  { value: "step", label: "Step" },
  { value: "relative", label: "Relative", title: "Time since the run's first point" },
  { value: "time", label: "Time" },
] as const;

export function ChartsPanel({ metrics, note, runs, search, onSearch, live }: ChartsPanelProps) {
  const wanted = search.m ?? "";
  const groups = useMemo(() => groupMetrics(metrics, wanted), [metrics, wanted]);
  const settings = useMemo(
    () => ({ x: search.x ?? ("step" as const), smooth: search.smooth ?? 0, log: search.log ?? false }),
    [search.x, search.smooth, search.log],
  );
  return (
    <div className={styles.panel}>
      <div className={styles.bar}>
        <SearchInput
          main
          label="Find metrics"
          value={wanted}
          onChange={(value) => onSearch({ m: value || undefined })}
        />
        <span className={styles.label}>x</span>
        <Segments
          label="Horizontal axis"
          value={settings.x}
          options={AXES}
          onChange={(x) => onSearch({ x: x === "step" ? undefined : x })}
        />
        <Smoothing value={settings.smooth} onChange={(value) => onSearch({ smooth: value || undefined })} />
        <label className={styles.check}>
          <input
            type="checkbox"
            checked={settings.log}
            onChange={(event) => onSearch({ log: event.target.checked || undefined })}
          />
          Log y
        </label>
      </div>
      {note && (
        <p className={styles.note} role="note">
          {note}
        </p>
      )}
      {groups.length === 0 && (
        <p className={styles.none}>
          {metrics.length ? `No metric of ${metrics.length} contains “${wanted}”.` : "No metrics logged yet."}
        </p>
      )}
      {groups.map((group) => (
        <Section
          key={group.name}
          name={group.name}
          count={group.metrics.length}
          closed={group.name === "system"}
          only={groups.length === 1}
        >
          {group.metrics.map((metric) => (
            <ChartCard key={metric} metric={metric} runs={runs} settings={settings} live={live} />
          ))}
        </Section>
      ))}
    </div>
  );
}

interface SectionProps {
  name: string;
  count: number;
  closed: boolean;
  only: boolean;
  children: React.ReactNode;
}

function Section({ name, count, closed, only, children }: SectionProps) {
  const [open, setOpen] = useState(!closed || only);
  return (
    <section>
      {!only && (
        <h2 className={styles.section}>
          <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
            {open ? <ChevronDown size={14} aria-hidden="true" /> : <ChevronRight size={14} aria-hidden="true" />}
            {name || "Metrics"}
            <span>{plural(count, "chart")}</span>
          </button>
        </h2>
      )}
      {open && <div className={styles.cards}>{children}</div>}
    </section>
  );
}

/** The slider's places: 0 to 0.999, finer near 1, where it matters. */
const WEIGHTS = [0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999, 0.9999, 0.99999];

function Smoothing({ value, onChange }: { value: number; onChange: (value: number) => void }) {
  const place = WEIGHTS.reduce(
    (best, weight, index) => (Math.abs(weight - value) < Math.abs(WEIGHTS[best]! - value) ? index : best),
    0,
  );
  return (
    <label className={styles.smoothing} title="Exponential mean; the tooltip shows the raw value too">
      <span className={styles.label}>Smoothing</span>
      <input
        type="range"
        min={0}
        max={WEIGHTS.length - 1}
        value={place}
        aria-valuetext={value ? String(value) : "off"}
        onChange={(event) => onChange(WEIGHTS[Number(event.target.value)] ?? 0)}
      />
      <output>{value || "off"}</output>
    </label>
  );
}
