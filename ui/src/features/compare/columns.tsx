/** The compare page's cells: values with what sets them apart from the baseline and from each other. */

import { Link } from "@tanstack/react-router";
import { ChevronDown, ChevronRight, Star, X } from "lucide-react";
import { IconButton } from "@/components/Button";
import { StatusDot, Swatch } from "@/components/Run";
import type { RunStyle } from "@/lib/colours";
import { delta, extremes, fullText, numberOf, percent, sameValue, signed, type Value } from "@/lib/compare";
import { formatDuration, formatNumber, formatTime, fullNumber, middleEllipsis } from "@/lib/format";
import type { GridColumn } from "@/table/Grid";
import styles from "./Compare.module.css";
import { isHeading, type KeyRow, type MatrixRow, TITLES } from "./rows";

export interface ComparedRun {
  id: string;
  experimentId: string;
  name: string;
  status: string;
  style: RunStyle | null;
}

interface Options {
  rows: readonly MatrixRow[];
  runs: readonly ComparedRun[];
  /** Place of the run that others are measured against. */
  baseline: number;
  onFold: (section: string) => void;
  onBaseline: (runId: string) => void;
  onRemove: (runId: string) => void;
}

/** Keys down, runs across. */
export function runsAcross(options: Options): GridColumn[] {
  const { rows, runs, baseline } = options;
  return [
    {
      id: "key",
      label: "Key",
      width: 250,
      cell: (index) => {
        const row = rows[index];
        if (!row) return null;
        if (!isHeading(row)) return <KeyName row={row} />;
        const Fold = row.folded ? ChevronRight : ChevronDown;
        return (
          <button
            type="button"
            className={styles.fold}
            aria-expanded={!row.folded}
            onClick={() => options.onFold(row.section)}
          >
            <Fold size={14} aria-hidden="true" />
            {TITLES[row.section]}
            <span>{row.differing ? `${row.differing} of ${row.total} differ` : `all ${row.total} the same`}</span>
          </button>
        );
      },
    },
    ...runs.map((run, place) => ({
      id: run.id,
      label: run.name,
      width: 208,
      header: <RunHead run={run} isBaseline={place === baseline} {...options} />,
      cell: (index: number) => {
        const row = rows[index];
        return row && !isHeading(row) ? <Compared row={row} place={place} baseline={baseline} /> : null;
      },
    })),
  ];
}

/** Runs down, keys across. */
export function keysAcross(options: Options): GridColumn[] {
  const { rows, runs, baseline } = options;
  const keys = rows.filter((row): row is KeyRow => !isHeading(row));
  return [
    {
      id: "run",
      label: "Run",
      width: 260,
      cell: (index) => {
        const run = runs[index];
        return run && <RunHead run={run} isBaseline={index === baseline} {...options} />;
      },
    },
    ...keys.map((row) => ({
      id: `${row.section}.${row.key}`,
      label: row.key,
      note: row.section === "params" || row.section === "metrics" ? undefined : TITLES[row.section].toLowerCase(),
      width: Math.max(130, Math.min(240, row.key.length * 7 + 40)),
      cell: (index: number) => <Compared row={row} place={index} baseline={baseline} />,
    })),
  ];
}

function KeyName({ row }: { row: KeyRow }) {
  return (
    <span className={styles.key} data-differs={row.differs} title={row.key}>
      {row.key}
      {row.differs && <span className="visually-hidden"> (differs)</span>}
    </span>
  );
}

interface RunHeadProps extends Options {
  run: ComparedRun;
  isBaseline: boolean;
}

function RunHead({ run, isBaseline, runs, onBaseline, onRemove }: RunHeadProps) {
  return (
    <span className={styles.head}>
      <Swatch style={run.style} />
      <Link
        to="/e/$exp/r/$run/$tab"
        params={{ exp: run.experimentId, run: run.id, tab: "overview" }}
        title={`${run.name}\n${run.id}`}
      >
        {middleEllipsis(run.name, 18)}
      </Link>
      {run.status && run.status !== "FINISHED" && <StatusDot status={run.status} />}
      <span className={styles.headTools}>
        <IconButton
          label={isBaseline ? `${run.name} is the baseline` : `Measure others against ${run.name}`}
          pressed={isBaseline}
          onClick={() => onBaseline(run.id)}
        >
          <Star size={13} strokeWidth={1.5} fill={isBaseline ? "currentColor" : "none"} />
        </IconButton>
        {runs.length > 2 && (
          <IconButton label={`Leave out ${run.name}`} onClick={() => onRemove(run.id)}>
            <X size={13} strokeWidth={1.5} />
          </IconButton>
        )}
      </span>
    </span>
  );
}

/** One value: marked where it is not the baseline's, with the distance where both are numbers, ▲▼ at the extremes. */
function Compared({ row, place, baseline }: { row: KeyRow; place: number; baseline: number }) {
  const value = row.values[place];
  const other = place !== baseline && !sameValue(value, row.values[baseline]);
  const { lowest, highest } = extremes(row.section === "attributes" ? [] : row.values);
  const away = other ? distance(row, value, row.values[baseline]) : null;
  const step = row.steps?.[place];
  return (
    <span
      className={styles.value}
      data-other={other}
      data-number={typeof value === "number"}
      title={[fullText(value), step === null || step === undefined ? "" : `at step ${step}`].filter(Boolean).join("\n")}
    >
      {value === null || value === undefined ? (
        <span className={styles.none}>–</span>
      ) : (
        <span className={styles.text}>{shortText(row, value)}</span>
      )}
      {highest.has(place) && <Extreme sign="▲" word="highest" />}
      {lowest.has(place) && <Extreme sign="▼" word="lowest" />}
      {away && (
        <span className={styles.delta} title={away.title}>
          {away.words}
        </span>
      )}
    </span>
  );
}

function Extreme({ sign, word }: { sign: string; word: string }) {
  return (
    <span className={styles.extreme} title={`The ${word} of the row`}>
      <span aria-hidden="true">{sign}</span>
      <span className="visually-hidden">, {word}</span>
    </span>
  );
}

function shortText(row: KeyRow, value: NonNullable<Value>): string {
  const number = numberOf(value);
  if (number !== null && row.section === "attributes") {
    if (row.key.endsWith("_time")) return formatTime(number);
    if (row.key === "duration") return formatDuration(number);
  }
  return number !== null && (typeof value === "number" || row.section === "metrics")
    ? formatNumber(number)
    : String(value);
}

function distance(row: KeyRow, value: Value, base: Value): { words: string; title: string } | null {
  const away = row.section === "attributes" && row.key !== "duration" ? null : delta(value, base);
  if (!away) return null;
  const isDuration = row.key === "duration" && row.section === "attributes";
  const size = isDuration ? formatDuration : (number: number) => formatNumber(number, 3);
  const absolute = signed(away.absolute, size);
  const part = away.part === null ? "" : percent(away.part);
  return {
    words: part ? `${absolute} · ${part}` : absolute,
    title: `${signed(away.absolute, fullNumber)}${part && ` (${part})`} against the baseline`,
  };
}
