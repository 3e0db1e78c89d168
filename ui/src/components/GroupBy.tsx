/** By which columns runs are taken together. */

import { X } from "lucide-react";
import { parseColumn } from "@/lib/columns";
import styles from "./GroupBy.module.css";

interface GroupByProps {
  columns: readonly string[];
  /** Names of columns that may be added. */
  options: readonly string[];
  most: number;
  onChange: (columns: string[]) => void;
}

export function GroupBy({ columns, options, most, onChange }: GroupByProps) {
  const free = options.filter((option) => !columns.includes(option));
  return (
    <span className={styles.box}>
      {columns.map((column) => (
        <span key={column} className={styles.chip}>
          {parseColumn(column).key}
          <button
            type="button"
            aria-label={`Do not group by ${parseColumn(column).key}`}
            onClick={() => onChange(columns.filter((each) => each !== column))}
          >
            <X size={12} strokeWidth={2} />
          </button>
        </span>
      ))}
      {columns.length < most && (
        <select
          aria-label="Group by"
          value=""
          onChange={(event) => event.target.value && onChange([...columns, event.target.value])}
        >
          <option value="">{columns.length ? "and…" : "Group by…"}</option>
          {free.map((option) => (
            <option key={option} value={option}>
              {parseColumn(option).key}
            </option>
          ))}
        </select>
      )}
    </span>
  );
}
