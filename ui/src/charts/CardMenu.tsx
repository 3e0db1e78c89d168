/** What can be done with one chart: draw it otherwise than the page does, take it away as a file, read it as a table. */

import { Settings2 } from "lucide-react";
import { withQuery } from "@/api/client";
import type { Frame } from "@/api/series";
import { Button, IconButton } from "@/components/Button";
import { Popover } from "@/components/Popover";
import { CopyButton } from "@/components/Value";
import styles from "./CardMenu.module.css";
import type { ChartCardProps } from "./ChartCard";
import { ChartControls } from "./ChartControls";
import type { Line } from "./lines";
import { describe } from "./say";
import { type ChartSettings, toOwn } from "./settings";

interface CardMenuProps extends ChartCardProps {
  settings: ChartSettings;
  frame: Frame | undefined;
  lines: readonly Line[];
  table: boolean;
  onTable: () => void;
}

/** Runs whose points one address may ask for. */
const MOST_IN_ADDRESS = 100;

export function CardMenu(props: CardMenuProps) {
  const { metric, own } = props;
  return (
    <Popover
      title={metric}
      trigger={
        <IconButton label={`Settings and export of ${metric}`} pressed={own ? true : undefined}>
          <Settings2 size={14} strokeWidth={1.5} />
        </IconButton>
      }
    >
      <Menu {...props} />
    </Popover>
  );
}

function Menu(props: CardMenuProps) {
  const { metric, runs, groups, settings, page, own, onOwn, metrics, frame, lines, zoom, table, onTable } = props;
  const shown = frame && { metric, frame, lines, settings, range: zoom };
  const files = () => import("./export");
  const all = withQuery("/api/v1/export/points", {
    run_ids: runs.slice(0, MOST_IN_ADDRESS).map((run) => run.id),
    metrics: [metric],
    format: "csv",
  });
  return (
    <>
      <div className={styles.controls}>
        <ChartControls
          settings={settings}
          metrics={metrics.filter((each) => each !== metric)}
          grouped={Boolean(groups)}
          card
          onChange={(change) => onOwn(toOwn(page, { ...own, ...change }))}
        />
      </div>
      {own && (
        <Button small onClick={() => onOwn(undefined)}>
          As the page draws them
        </Button>
      )}
      {shown && (
        <>
          <div className={styles.row}>
            <span>Picture</span>
            <Button small onClick={async () => (await files()).savePng(shown, 1)}>
              PNG
            </Button>
            <Button small onClick={async () => (await files()).savePng(shown, 2)}>
              PNG 2×
            </Button>
            <Button small onClick={async () => (await files()).saveSvg(shown)}>
              SVG
            </Button>
          </div>
          <div className={styles.row}>
            <span>CSV</span>
            <Button small onClick={async () => (await files()).saveCsv(shown)}>
              As shown
            </Button>
            <a className={styles.link} href={all} download={`${metric.replace(/[^\w.-]+/g, "_")}-points.csv`}>
              All points{runs.length > MOST_IN_ADDRESS && ` of the first ${MOST_IN_ADDRESS} runs`}
            </a>
          </div>
          <div className={styles.row}>
            <span>Words</span>
            <Button small aria-pressed={table} onClick={onTable}>
              {table ? "Hide the table" : "Table of values"}
            </Button>
            <CopyButton
              label="Copy a description"
              text={() => describe(metric, shown.frame, lines, settings, Boolean(groups))}
            />
          </div>
        </>
      )}
    </>
  );
}
