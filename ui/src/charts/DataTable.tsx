/** A chart as a table: for reading without seeing, and for reading exactly. */

import type { Frame } from "@/api/series";
import { Num } from "@/components/Value";
import { formatCount } from "@/lib/format";
import { sayX } from "./axis";
import styles from "./DataTable.module.css";
import type { Line } from "./lines";
import type { ChartSettings } from "./settings";

/** Rows of the table; of more places every so-manieth is taken. */
const MOST_ROWS = 200;

interface DataTableProps {
  metric: string;
  frame: Frame;
  lines: readonly Line[];
  settings: ChartSettings;
}

export default function DataTable({ metric, frame, lines, settings }: DataTableProps) {
  const filled = frame.x
    .map((_, index) => index)
    .filter((index) => lines.some((line) => typeof line.y[index] === "number"));
  const every = Math.max(1, Math.ceil(filled.length / MOST_ROWS));
  const rows = filled.filter((_, place) => place % every === 0 || place === filled.length - 1);
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard */}
      <div className={styles.scroller} tabIndex={0} role="region" aria-label={`Values of ${metric}`}>
        <table>
          <thead>
            <tr>
              <th scope="col">{settings.x === "metric" ? settings.xm : settings.x}</th>
              {lines.map((line) => (
                <th key={line.id} scope="col">
                  {line.name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((index) => (
              <tr key={index}>
                <th scope="row">{sayX(frame.x[index]!, frame.dx, settings.x, settings.xm)}</th>
                {lines.map((line) => (
                  <td key={line.id}>
                    <Num value={line.y[index]} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {every > 1 && (
        <p className={styles.words}>
          {formatCount(rows.length)} of {formatCount(filled.length)} places; the CSV has all of them.
        </p>
      )}
    </>
  );
}
