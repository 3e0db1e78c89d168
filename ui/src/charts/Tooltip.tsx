/** The values under the cursor, highest first. */

import { Swatch } from "@/components/Run";
import { formatNumber, fullNumber, middleEllipsis } from "@/lib/format";
import type { XAxis } from "@/lib/search";
import { sayX } from "./axis";
import { hoveredId } from "./hover";
import type { Cursor } from "./LinePlot";
import styles from "./LinePlot.module.css";
import type { Line, MaybeNumber } from "./lines";

const MOST_ROWS = 12;
/** How far from the cursor a line's value may lie, in entries of x and as a part of the width of x. */
const REACH_ENTRIES = 64;
const REACH_PART = 0.02;

interface TooltipProps {
  x: number[];
  dx: number;
  lines: readonly Line[];
  axis: XAxis;
  /** The name of x, where that is a metric. */
  xName?: string;
  cursor: Cursor;
  width: number;
}

export function Tooltip({ x, dx, lines, axis, xName, cursor, width }: TooltipProps) {
  const at = x[cursor.index];
  if (at === undefined) return null;
  const reach = ((x[x.length - 1] ?? 0) - (x[0] ?? 0)) * REACH_PART;
  const rows = lines
    .map((line) => ({ line, index: nearest(line.raw ?? line.y, x, cursor.index, reach) }))
    .filter((row): row is { line: Line; index: number } => row.index !== null)
    .sort((left, right) => (right.line.y[right.index] ?? 0) - (left.line.y[left.index] ?? 0));
  if (rows.length === 0) return null;
  const hovered = lines.length > 1 ? hoveredId() : null;
  const flip = cursor.left > width / 2;
  return (
    <div
      className={styles.tooltip}
      style={flip ? { right: width - cursor.left + 14, top: 8 } : { left: cursor.left + 14, top: 8 }}
    >
      <div className={styles.where} aria-live="polite">
        {sayX(at, dx, axis, xName)}
        {lines.length === 1 && (
          <span className="visually-hidden">{` ${formatNumber(rows[0]!.line.y[rows[0]!.index]!)}`}</span>
        )}
      </div>
      <table>
        <tbody>
          {rows.slice(0, MOST_ROWS).map(({ line, index }) => (
            <tr key={line.id} data-hovered={line.id === hovered}>
              <th scope="row">
                <Swatch style={line.style} />
                {lines.length > 1 && <span>{middleEllipsis(line.name, 26)}</span>}
              </th>
              <td title={fullNumber(line.y[index]!)}>{formatNumber(line.y[index]!, 5)}</td>
              {line.raw && <td className={styles.faint}>{formatNumber(line.raw[index]!, 5)}</td>}
              {line.runs && <td className={styles.faint}>n = {line.runs[index]}</td>}
              {line.low && line.high && line.low[index] !== line.high[index] && (
                <td className={styles.faint}>
                  {formatNumber(line.low[index]!)} … {formatNumber(line.high[index]!)}
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > MOST_ROWS && <div className={styles.faint}>{rows.length - MOST_ROWS} more</div>}
    </div>
  );
}

/** The entry with a value that is nearest to `index`, within reach. */
function nearest(values: MaybeNumber[], x: number[], index: number, reach: number): number | null {
  for (let step = 0; step <= REACH_ENTRIES; step++) {
    for (const each of step === 0 ? [index] : [index - step, index + step]) {
      const place = x[each];
      if (place === undefined || typeof values[each] !== "number") continue;
      return Math.abs(place - x[index]!) <= reach ? each : null;
    }
  }
  return null;
}
