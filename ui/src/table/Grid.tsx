/**
 * The table of every page: rows virtualised, columns windowed, the leading columns pinned. Sorting, filtering and paging are
 * the caller's (the server's) work; the grid asks for rows by number and may be told "not here yet".
 */

import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, type ReactNode, useEffect, useId, useMemo, useRef, useState } from "react";
import { useKeys } from "@/lib/keys";
import type { SortKey } from "@/lib/search";
import { prefixSums } from "@/lib/windowing";
import styles from "./Grid.module.css";
import { HeaderCell, SelectAll } from "./Header";
import { useColumnWindow, useHold, useSelect } from "./scrolling";

export const ROW_HEIGHT = 32;
const HEADER_HEIGHT = 34;
const HISTOGRAM_HEIGHT = 26;
const SELECT_WIDTH = 36;

export interface GridColumn {
  id: string;
  /** The header's words. */
  label: string;
  /** A small word beside them: the aggregate of a metric. */
  note?: string;
  width: number;
  align?: "end";
  sortable?: boolean;
  cell: (row: number) => ReactNode;
  /** In place of the header's words. */
  header?: ReactNode;
  /** Under them: how the column's values are spread. */
  spread?: ReactNode;
}

export interface GridSelection {
  selected: { has: (id: string) => boolean; size: number };
  /** Marks or unmarks runs. */
  onChange: (ids: string[], on: boolean) => void;
  onClear: () => void;
  /** What one row is called, for the checkbox's name. */
  name: (row: number) => string;
}

interface GridProps {
  label: string;
  columns: readonly GridColumn[];
  /** How many leading columns stay in sight. */
  pinned?: number;
  rowCount: number;
  /** `null` = the row is not here yet. */
  rowId: (row: number) => string | null;
  sort?: SortKey | null;
  onSort?: (column: string) => void;
  selection?: GridSelection;
  onOpen?: (row: number) => void;
  /** First and last row in sight, whenever that changes. */
  onRows?: (first: number, last: number) => void;
  /** First column in sight and the one after the last, whenever that changes. */
  onColumns?: (first: number, end: number) => void;
  /** True while rows should not move: the reader points at them or has scrolled. */
  onHold?: (hold: boolean) => void;
  /** Another object makes its row the active one and brings it into sight. */
  goTo?: { row: number } | null;
  /** When this changes the table starts again at its top. */
  resetKey?: string;
  /** How a row looks, beyond being one: a heading, a group. */
  rowKind?: (row: number) => string | undefined;
  /** Shown inside the scrolling area, under the rows. */
  children?: ReactNode;
}

/** See the module's words. */
export function Grid(props: GridProps) {
  const { columns, pinned = 1, rowCount, rowId, selection, onOpen, onRows, onColumns, onHold, resetKey } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(-1);
  const prefix = useId();
  const lead = useMemo(() => columns.slice(0, pinned), [columns, pinned]);
  const rest = useMemo(() => columns.slice(pinned), [columns, pinned]);
  const leadWidth = lead.reduce((sum, column) => sum + column.width, 0) + (selection ? SELECT_WIDTH : 0);
  const sums = useMemo(() => prefixSums(rest.map((column) => column.width)), [rest]);
  const [first, end] = useColumnWindow(scroller, sums, leadWidth);
  const headerHeight = HEADER_HEIGHT + (columns.some((column) => column.spread) ? HISTOGRAM_HEIGHT : 0);
  const virtual = useVirtualizer({
    count: rowCount,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 8,
    scrollPaddingStart: headerHeight,
    useFlushSync: false,
  });
  const items = virtual.getVirtualItems();
  const firstRow = items[0]?.index ?? 0;
  const lastRow = items[items.length - 1]?.index ?? 0;
  useEffect(() => onRows?.(firstRow, lastRow), [onRows, firstRow, lastRow]);
  useEffect(() => onColumns?.(pinned + first, pinned + end), [onColumns, pinned, first, end]);
  useHold(scroller, onHold);
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs exactly when the key changes
  useEffect(() => {
    scroller.current?.scrollTo({ top: 0 });
    setActive(-1);
  }, [resetKey]);

  const { goTo } = props;
  useEffect(() => {
    if (!goTo) return;
    setActive(goTo.row);
    virtual.scrollToIndex(goTo.row);
  }, [goTo, virtual]);

  const select = useSelect(selection, rowId);
  const move = (by: number) => {
    const next = Math.max(0, Math.min(rowCount - 1, active + by));
    setActive(next);
    virtual.scrollToIndex(next);
  };
  useKeys([
    { keys: "j, ArrowDown", does: "Next row", run: () => move(1) },
    { keys: "k, ArrowUp", does: "Previous row", run: () => move(-1) },
    ...(onOpen
      ? [{ keys: "Enter", does: "Open row", run: () => active >= 0 && active < rowCount && onOpen(active) }]
      : []),
    ...(selection ? [{ keys: "x", does: "Select row", run: () => active >= 0 && select(active, false) }] : []),
  ]);

  const width = leadWidth + sums[sums.length - 1]!;
  const shown = useMemo(() => rest.slice(first, end), [rest, first, end]);
  const gap = sums[first] ?? 0;
  return (
    <div
      ref={scroller}
      className={styles.scroller}
      role="grid"
      aria-label={props.label}
      aria-rowcount={rowCount + 1}
      aria-colcount={columns.length + (selection ? 1 : 0)}
      aria-multiselectable={selection ? true : undefined}
      aria-activedescendant={active >= 0 ? `${prefix}-${active}` : undefined}
      tabIndex={0}
    >
      <div role="rowgroup" className={styles.head} style={{ width, height: headerHeight }}>
        <div role="row" aria-rowindex={1} className={styles.headRow}>
          {selection && <SelectAll selection={selection} rowCount={rowCount} rowId={rowId} />}
          {lead.map((column, index) => (
            <HeaderCell
              key={column.id}
              column={column}
              index={index}
              left={leadLeft(lead, index, Boolean(selection))}
              last={index === lead.length - 1}
              {...props}
            />
          ))}
          <div style={{ width: gap }} className={styles.gap} role="presentation" />
          {shown.map((column, index) => (
            <HeaderCell key={column.id} column={column} index={pinned + first + index} {...props} />
          ))}
        </div>
      </div>
      <div role="rowgroup" className={styles.body} style={{ width, height: virtual.getTotalSize() }}>
        {items.map((item) => {
          const id = rowId(item.index);
          return (
            <Row
              key={item.index}
              prefix={prefix}
              row={item.index}
              top={item.start}
              id={id}
              lead={lead}
              cells={shown}
              gap={gap}
              firstColumn={pinned + first}
              active={item.index === active}
              selected={selection ? id !== null && selection.selected.has(id) : undefined}
              kind={props.rowKind?.(item.index)}
              name={selection?.name}
              onActive={setActive}
              onSelect={select}
            />
          );
        })}
      </div>
      {props.children}
    </div>
  );
}

interface RowProps {
  prefix: string;
  row: number;
  top: number;
  id: string | null;
  lead: readonly GridColumn[];
  cells: readonly GridColumn[];
  gap: number;
  firstColumn: number;
  active: boolean;
  selected: boolean | undefined;
  kind: string | undefined;
  name?: (row: number) => string;
  onActive: (row: number) => void;
  onSelect: (row: number, range: boolean) => void;
}

const Row = memo(function Row(props: RowProps) {
  const { row, id, lead, cells, selected } = props;
  const offset = selected === undefined ? 1 : 2;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are j, k, x and Enter, bound once by the grid
    <div
      role="row"
      id={`${props.prefix}-${row}`}
      tabIndex={-1}
      aria-rowindex={row + 2}
      aria-selected={selected}
      className={styles.row}
      data-active={props.active}
      data-kind={props.kind}
      style={{ transform: `translateY(${props.top}px)`, height: ROW_HEIGHT }}
      onClick={() => props.onActive(row)}
    >
      {selected !== undefined && (
        <div role="gridcell" aria-colindex={1} className={`${styles.cell} ${styles.pinned} ${styles.select}`}>
          {id !== null && (
            <input
              type="checkbox"
              checked={selected}
              aria-label={`Select ${props.name?.(row) ?? id}`}
              onChange={(event) => props.onSelect(row, (event.nativeEvent as MouseEvent).shiftKey)}
            />
          )}
        </div>
      )}
      {lead.map((column, index) => (
        <div
          key={column.id}
          role="gridcell"
          aria-colindex={index + offset}
          className={`${styles.cell} ${styles.pinned}`}
          data-last={index === lead.length - 1}
          data-align={column.align}
          style={{ width: column.width, left: leadLeft(lead, index, selected !== undefined) }}
        >
          {id === null ? <span className={styles.wait} /> : column.cell(row)}
        </div>
      ))}
      <div style={{ width: props.gap }} className={styles.gap} role="presentation" />
      {cells.map((column, index) => (
        <div
          key={column.id}
          role="gridcell"
          aria-colindex={props.firstColumn + index + offset}
          className={styles.cell}
          data-align={column.align}
          style={{ width: column.width }}
        >
          {id !== null && column.cell(row)}
        </div>
      ))}
    </div>
  );
});

function leadLeft(lead: readonly GridColumn[], index: number, select: boolean): number {
  return lead.slice(0, index).reduce((sum, column) => sum + column.width, select ? SELECT_WIDTH : 0);
}
