/** Keys against runs as a table: differences first, measured against a baseline, copied in three forms. */

import { Check, Copy, FoldHorizontal } from "lucide-react";
import { useMemo, useState } from "react";
import type { RunComparison } from "@/api/types";
import { Button, Segments } from "@/components/Button";
import { Popover } from "@/components/Popover";
import { SearchInput } from "@/components/SearchInput";
import { EmptyState } from "@/components/States";
import { copyText } from "@/components/Value";
import { fullText } from "@/lib/compare";
import { plural } from "@/lib/format";
import { useKeys } from "@/lib/keys";
import type { CompareSearch } from "@/lib/search";
import { type Format, writeTable } from "@/lib/tabular";
import { Grid } from "@/table/Grid";
import styles from "./Compare.module.css";
import { type ComparedRun, keysAcross, runsAcross } from "./columns";
import { isHeading, type KeyRow, type MatrixRow, matrixRows, nextDifference } from "./rows";

interface MatrixProps {
  comparison: RunComparison;
  runs: readonly ComparedRun[];
  search: CompareSearch;
  onChange: (change: Partial<CompareSearch>) => void;
}

const VALUES = [
  { value: "last", label: "Last" },
  { value: "min", label: "Min", title: "The smallest value of each metric" },
  { value: "max", label: "Max", title: "The largest value of each metric" },
] as const;

export function Matrix({ comparison, runs, search, onChange }: MatrixProps) {
  const [active, setActive] = useState<{ row: number } | null>(null);
  const folded = search.fold ?? [];
  const value = search.value ?? "last";
  const rows = useMemo(
    () => matrixRows(comparison, { value, search: search.q ?? "", folded: search.fold ?? [] }),
    [comparison, value, search.q, search.fold],
  );
  const baseline = Math.max(
    0,
    runs.findIndex((run) => run.id === search.base),
  );
  const flip = search.flip ?? false;
  const options = {
    rows,
    runs,
    baseline,
    onFold: (section: string) => {
      const next = folded.includes(section) ? folded.filter((each) => each !== section) : [...folded, section];
      onChange({ fold: next.length ? next : undefined });
    },
    onBaseline: (id: string) => onChange({ base: id === runs[0]?.id ? undefined : id }),
    onRemove: (id: string) => onChange({ runs: runs.map((run) => run.id).filter((each) => each !== id) }),
  };
  const columns = flip ? keysAcross(options) : runsAcross(options);
  const go = (step: 1 | -1) => {
    const next = nextDifference(rows, active?.row ?? (step > 0 ? -1 : 0), step);
    if (next >= 0) setActive({ row: next });
  };
  useKeys([
    { keys: "t", does: "Exchange rows and columns", run: () => onChange({ flip: !flip || undefined }) },
    { keys: "d", does: "Differences only, or everything", run: () => onChange({ all: !search.all || undefined }) },
    { keys: "n", does: "Next difference", run: () => go(1) },
    { keys: "Shift+N", does: "Previous difference", run: () => go(-1) },
  ]);
  const keys = rows.filter((row) => !isHeading(row)).length;
  const left = rows.some((row) => isHeading(row) && !row.folded && !search.q && search.all && row.shown < row.total);
  return (
    <>
      <div className={styles.toolbar}>
        <SearchInput
          main
          label="Find keys and values"
          value={search.q ?? ""}
          onChange={(q) => onChange({ q: q || undefined })}
        />
        <label className={styles.check}>
          <input
            type="checkbox"
            checked={!search.all}
            onChange={(event) => onChange({ all: event.target.checked ? undefined : true })}
          />
          Differences only
        </label>
        <Segments
          label="Value of metrics"
          value={value}
          options={VALUES}
          onChange={(next) => onChange({ value: next === "last" ? undefined : next })}
        />
        <span className={styles.push}>
          <span className={styles.words} role="status">
            {plural(keys, "key")}
            {left && " (the first 5,000 of a section)"}
          </span>
          <Button
            aria-pressed={flip}
            onClick={() => onChange({ flip: !flip || undefined })}
            title="Exchange rows and columns (t)"
          >
            <FoldHorizontal size={14} strokeWidth={1.5} aria-hidden="true" />
            Transpose
          </Button>
          <CopyAs rows={rows} runs={runs} flip={flip} />
        </span>
      </div>
      {keys === 0 && !rows.some(isHeading) ? (
        <EmptyState title="Nothing to compare">
          <p>These runs have neither params nor metrics nor tags.</p>
        </EmptyState>
      ) : (
        <Grid
          label="Compared runs"
          columns={columns}
          rowCount={flip ? runs.length : rows.length}
          rowId={(row) => (flip ? runs[row]?.id : rowName(rows[row])) ?? null}
          rowKind={(row) => (!flip && rows[row] && isHeading(rows[row]) ? "heading" : undefined)}
          goTo={flip ? null : active}
          resetKey={`${flip} ${search.all}`}
        />
      )}
    </>
  );
}

function rowName(row: MatrixRow | undefined): string | undefined {
  return row && (isHeading(row) ? row.section : `${row.section}.${row.key}`);
}

const FORMS: readonly { format: Format; label: string }[] = [
  { format: "markdown", label: "Markdown" },
  { format: "csv", label: "CSV" },
  { format: "latex", label: "LaTeX" },
];

/** What the table shows, in full digits, for another program. */
function CopyAs({ rows, runs, flip }: { rows: readonly MatrixRow[]; runs: readonly ComparedRun[]; flip: boolean }) {
  const [done, setDone] = useState<Format | null>(null);
  const copy = async (format: Format) => {
    const keys = rows.filter((row): row is KeyRow => !isHeading(row));
    const body = keys.map((row) => [row.key, ...runs.map((_, place) => fullText(row.values[place]))]);
    const across = [["key", ...runs.map((run) => run.name)], ...body];
    const table = flip ? across[0]!.map((_, column) => across.map((row) => row[column]!)) : across;
    await copyText(writeTable(table[0]!, table.slice(1), format));
    setDone(format);
  };
  return (
    <Popover
      title="Copy the table as"
      onOpenChange={() => setDone(null)}
      trigger={
        <Button>
          <Copy size={14} strokeWidth={1.5} aria-hidden="true" />
          Copy as
        </Button>
      }
    >
      <div className={styles.menu}>
        {FORMS.map(({ format, label }) => (
          <button key={format} type="button" onClick={() => copy(format)}>
            {label}
            {done === format && <Check size={14} strokeWidth={2} aria-label="copied" />}
          </button>
        ))}
      </div>
    </Popover>
  );
}
