/** The heads of a table's columns. */

import { ArrowDown, ArrowUp } from "lucide-react";
import type { SortKey } from "@/lib/search";
import type { GridColumn, GridSelection } from "./Grid";
import styles from "./Grid.module.css";

interface HeaderCellProps {
  column: GridColumn;
  index: number;
  left?: number;
  last?: boolean;
  sort?: SortKey | null;
  onSort?: (column: string) => void;
  selection?: GridSelection;
}

/** The head of a column: sorts where that means something. */
export function HeaderCell({ column, index, left, last, sort, onSort, selection }: HeaderCellProps) {
  const direction = sort?.column === column.id ? (sort.descending ? "descending" : "ascending") : undefined;
  const words = (
    <>
      <span className={styles.words}>{column.label}</span>
      {column.note && <span className={styles.note}>{column.note}</span>}
      {direction === "descending" && <ArrowDown size={12} strokeWidth={2} aria-hidden="true" />}
      {direction === "ascending" && <ArrowUp size={12} strokeWidth={2} aria-hidden="true" />}
    </>
  );
  const title = column.note ? `${column.label} (${column.note})` : column.label;
  return (
    <div
      role="columnheader"
      aria-colindex={index + (selection ? 2 : 1)}
      aria-sort={direction}
      className={left === undefined ? styles.headCell : `${styles.headCell} ${styles.pinned}`}
      data-align={column.align}
      data-last={last}
      style={{ width: column.width, left }}
      title={title}
    >
      {column.sortable && onSort ? (
        <button type="button" onClick={() => onSort(column.id)} data-sorted={Boolean(direction)}>
          {words}
        </button>
      ) : (
        (column.header ?? words)
      )}
      {column.spread && <div className={styles.spread}>{column.spread}</div>}
    </div>
  );
}

interface SelectAllProps {
  selection: GridSelection;
  rowCount: number;
  rowId: (row: number) => string | null;
}

/** Marks all rows that are loaded. */
export function SelectAll({ selection, rowCount, rowId }: SelectAllProps) {
  const ids = () => {
    const found: string[] = [];
    for (let row = 0; row < rowCount; row++) {
      const id = rowId(row);
      if (id !== null) found.push(id);
    }
    return found;
  };
  const some = selection.selected.size > 0;
  return (
    <div role="columnheader" aria-colindex={1} className={`${styles.headCell} ${styles.pinned} ${styles.select}`}>
      <input
        type="checkbox"
        aria-label={some ? "Clear selection" : "Select all loaded rows"}
        checked={some}
        ref={(box) => {
          // Some are not all.
          if (box) box.indeterminate = some && selection.selected.size < rowCount;
        }}
        onChange={() => (some ? selection.onClear() : selection.onChange(ids(), true))}
      />
    </div>
  );
}
