/** How the values of a column are spread, small, in its header; a bar narrows the filter to what it stands for. */

import type { ColumnHistogram } from "@/api/types";
import { filterField, parseColumn } from "@/lib/columns";
import { formatNumber, plural, toNumber } from "@/lib/format";
import styles from "./Spread.module.css";

interface SpreadProps {
  column: string;
  histogram: ColumnHistogram;
  onFilter: (condition: string) => void;
}

interface Bar {
  runs: number;
  words: string;
  condition: string;
}

export function Spread({ column, histogram, onFilter }: SpreadProps) {
  const bars = histogram.numeric ? numericBars(column, histogram) : wordBars(column, histogram);
  if (bars.length < 2) return null;
  const most = Math.max(...bars.map((bar) => bar.runs));
  return (
    <span className={styles.bars}>
      {bars.map((bar) => (
        <button
          key={bar.condition}
          type="button"
          tabIndex={-1}
          aria-label={`Only ${bar.words}`}
          title={`${bar.words}: ${plural(bar.runs, "run")}`}
          disabled={bar.runs === 0}
          onClick={() => onFilter(bar.condition)}
        >
          <span style={{ height: `${Math.max(bar.runs ? 8 : 0, (bar.runs / most) * 100)}%` }} />
        </button>
      ))}
    </span>
  );
}

function field(column: string): string {
  const { kind, key, aggregate } = parseColumn(column);
  const name = filterField(kind, key);
  return kind === "metrics" && aggregate !== "last" ? `${name}@${aggregate}` : name;
}

function numericBars(column: string, { counts = [], minimum, maximum }: ColumnHistogram): Bar[] {
  const [low, high] = [toNumber(minimum) ?? 0, toNumber(maximum) ?? 0];
  const size = (high - low) / counts.length;
  const name = field(column);
  return counts.map((runs, index) => {
    const [from, to] = [low + index * size, index === counts.length - 1 ? high : low + (index + 1) * size];
    const [from_, to_] = [Number(from.toPrecision(12)), Number(to.toPrecision(12))];
    const upper = index === counts.length - 1 ? "<=" : "<";
    return {
      runs,
      words: `${formatNumber(from)} to ${formatNumber(to)}`,
      condition: `${name} >= ${from_} AND ${name} ${upper} ${to_}`,
    };
  });
}

function wordBars(column: string, { top = [] }: ColumnHistogram): Bar[] {
  return top
    .filter(({ value }) => !/['\\\n]/.test(value))
    .map(({ value, runs }) => ({ runs, words: value, condition: `${field(column)} = '${value}'` }));
}
