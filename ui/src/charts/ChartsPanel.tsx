/** A wall of charts: one card per metric, grouped by the part of the name before the slash. */

import { ChevronDown, ChevronRight } from "lucide-react";
import { useMemo, useState } from "react";
import { SearchInput } from "@/components/SearchInput";
import { plural } from "@/lib/format";
import type { ChartsSearch } from "@/lib/search";
import { ChartCard } from "./ChartCard";
import { ChartControls } from "./ChartControls";
import styles from "./ChartsPanel.module.css";
import { groupMetrics, type Metric } from "./groups";
import type { ChartGroup, ChartRun } from "./lines";
import { type CardSettings, pageSettings, toSearch } from "./settings";

interface ChartsPanelProps {
  metrics: readonly Metric[];
  /** What was left out, in words. */
  note?: string;
  runs: readonly ChartRun[];
  /** Runs taken together; each by itself where absent. */
  groups?: readonly ChartGroup[];
  search: ChartsSearch;
  onSearch: (change: Partial<ChartsSearch>) => void;
  /** More controls, beside those of the charts. */
  tools?: React.ReactNode;
}

export function ChartsPanel({ metrics, note, runs, groups: chartGroups, search, onSearch, tools }: ChartsPanelProps) {
  const wanted = search.m ?? "";
  const groups = useMemo(() => groupMetrics(metrics, wanted), [metrics, wanted]);
  const settings = useMemo(() => pageSettings(search), [search]);
  const names = useMemo(() => metrics.map((metric) => metric.key), [metrics]);
  const zoom = useMemo<[number, number] | null>(() => search.zoom ?? null, [search.zoom]);
  const setOwn = (metric: string, own: CardSettings | undefined) => {
    const { [metric]: _, ...others } = search.cards ?? {};
    const next = own ? { ...others, [metric]: own } : others;
    onSearch({ cards: Object.keys(next).length ? next : undefined });
  };
  return (
    <div className={styles.panel}>
      <div className={styles.bar}>
        <SearchInput
          main
          label="Find metrics"
          value={wanted}
          onChange={(value) => onSearch({ m: value || undefined })}
        />
        <ChartControls
          settings={settings}
          metrics={names}
          grouped={Boolean(chartGroups)}
          onChange={(change) => onSearch(toSearch(change))}
        />
        {tools}
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
            <ChartCard
              key={metric}
              metric={metric}
              runs={runs}
              groups={chartGroups}
              page={settings}
              own={search.cards?.[metric]}
              onOwn={(own) => setOwn(metric, own)}
              metrics={names}
              zoom={zoom}
              onZoom={(next) => onSearch({ zoom: next ?? undefined })}
            />
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
