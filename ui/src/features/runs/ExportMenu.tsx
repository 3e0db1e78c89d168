/** The runs that match, as a file. */

import { Download } from "lucide-react";
import { withQuery } from "@/api/client";
import { Button } from "@/components/Button";
import { Popover } from "@/components/Popover";
import { plural } from "@/lib/format";
import styles from "./ViewMenu.module.css";

interface ExportMenuProps {
  experimentId: string;
  filter: string;
  columns: readonly string[];
  total: number;
}

export function ExportMenu({ experimentId, filter, columns, total }: ExportMenuProps) {
  const query = { experiment_ids: [experimentId], filter };
  const runs = (format: string, chosen?: readonly string[]) =>
    withQuery("/api/v1/export/runs", { ...query, format, columns: chosen });
  const points = (format: string) => withQuery("/api/v1/export/points", { ...query, format });
  return (
    <Popover
      title={`Export ${plural(total, "run")}`}
      trigger={
        <Button aria-label="Export">
          <Download size={14} strokeWidth={1.5} aria-hidden="true" />
        </Button>
      }
    >
      <div className={styles.links}>
        <a href={runs("csv", columns)} download="runs.csv">
          CSV, the columns shown
        </a>
        <a href={runs("csv")} download="runs.csv">
          CSV, all columns
        </a>
        <a href={runs("jsonl")} download="runs.jsonl">
          JSON Lines, all columns
        </a>
        <a href={runs("parquet")} download="runs.parquet">
          Parquet, all columns
        </a>
        <a href={points("csv")} download="points.csv">
          CSV of every metric point
        </a>
      </div>
    </Popover>
  );
}
