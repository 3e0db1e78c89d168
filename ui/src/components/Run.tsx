/** How a run looks, everywhere the same: colour and dash, name, and a status whose shape says it without colour. */

import { DASHES, hueToken, type RunStyle } from "@/lib/colours";
import { middleEllipsis } from "@/lib/format";
import styles from "./Run.module.css";

const SHAPES: Record<string, { word: string; path: string }> = {
  RUNNING: { word: "Running", path: "M2.5 1.2 9 5 2.5 8.8z" },
  SCHEDULED: {
    word: "Scheduled",
    path: "M5 1a4 4 0 1 0 0 8 4 4 0 0 0 0-8zm0 1.6a2.4 2.4 0 1 1 0 4.8 2.4 2.4 0 0 1 0-4.8z",
  },
  FINISHED: { word: "Finished", path: "M5 1.2a3.8 3.8 0 1 0 0 7.6 3.8 3.8 0 0 0 0-7.6z" },
  FAILED: { word: "Failed", path: "M2.4 1 5 3.6 7.6 1 9 2.4 6.4 5 9 7.6 7.6 9 5 6.4 2.4 9 1 7.6 3.6 5 1 2.4z" },
  LOST: { word: "Lost", path: "M5 0.9 9.2 8.6H0.8zM4.4 3.6v2.4h1.2V3.6zM4.4 6.7v1.1h1.2V6.7z" },
  KILLED: { word: "Killed", path: "M1.5 1.5h7v7h-7z" },
};

/** The word for a status. */
export function statusWord(status: string): string {
  return SHAPES[status]?.word ?? status;
}

/** ▶ running, ● finished, ✕ failed, ■ killed, a triangle with a gap: running, but not heard of. With `words` the status stands beside it. */
export function StatusDot({ status, words = false }: { status: string; words?: boolean }) {
  const shape = SHAPES[status] ?? SHAPES.SCHEDULED!;
  return (
    <span className={styles.status} data-status={status} title={words ? undefined : shape.word}>
      <svg viewBox="0 0 10 10" width="10" height="10" aria-hidden="true">
        <path d={shape.path} fill="currentColor" />
      </svg>
      {words ? shape.word : <span className="visually-hidden">{shape.word}</span>}
    </span>
  );
}

/** A piece of the run's line: its hue and dash; an empty place while that is not known. Hollow when not drawn in the charts. */
export function Swatch({ style, hollow = false }: { style: RunStyle | null; hollow?: boolean }) {
  if (!style) return <span className={styles.blank} aria-hidden="true" />;
  const dashed = DASHES[style.dash] ?? [];
  if (dashed.length === 0) {
    return <span className={styles.dot} data-hollow={hollow} data-hue={hueToken(style).slice(6)} aria-hidden="true" />;
  }
  return (
    <svg
      className={styles.line}
      data-hue={hueToken(style).slice(6)}
      viewBox="0 0 16 10"
      width="16"
      height="10"
      aria-hidden="true"
    >
      <path
        d="M0 5h16"
        stroke="currentColor"
        strokeWidth="3"
        strokeDasharray={dashed.map((part) => part * 0.8).join(" ")}
      />
    </svg>
  );
}

interface RunChipProps {
  name: string;
  runId: string;
  status?: string;
  /** `null` keeps its place free. */
  style?: RunStyle | null;
  hollow?: boolean;
  most?: number;
}

/** Swatch, name, status. */
export function RunChip({ name, runId, status, style, hollow, most = 40 }: RunChipProps) {
  return (
    <span className={styles.chip} title={`${name || "Unnamed run"}\n${runId}`}>
      {style !== undefined && <Swatch style={style} hollow={hollow} />}
      {status && <StatusDot status={status} />}
      <span className={styles.name}>{middleEllipsis(name || runId.slice(0, 8), most)}</span>
    </span>
  );
}
