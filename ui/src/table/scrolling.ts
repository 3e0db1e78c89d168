/** What a table does while the reader scrolls, points and selects. */

import { type RefObject, useCallback, useEffect, useRef, useState } from "react";
import { visibleColumns } from "@/lib/windowing";
import type { GridSelection } from "./Grid";

/** Selecting one row, or with Shift all from the last one. Stable, so that rows need not render again. */
export function useSelect(selection: GridSelection | undefined, rowId: (row: number) => string | null) {
  const latest = useRef({ selection, rowId });
  latest.current = { selection, rowId };
  const anchor = useRef(-1);
  return useCallback((row: number, range: boolean) => {
    const { selection: current, rowId: idOf } = latest.current;
    const id = idOf(row);
    if (!current || id === null) return;
    const on = !current.selected.has(id);
    const from = range && anchor.current >= 0 ? Math.min(anchor.current, row) : row;
    const to = range && anchor.current >= 0 ? Math.max(anchor.current, row) : row;
    const ids: string[] = [];
    for (let index = from; index <= to; index++) {
      const each = idOf(index);
      if (each !== null) ids.push(each);
    }
    anchor.current = row;
    current.onChange(ids, on);
  }, []);
}

/** Which columns are in sight; changes only when a column enters or leaves. */
export function useColumnWindow(
  scroller: RefObject<HTMLDivElement | null>,
  sums: readonly number[],
  leadWidth: number,
) {
  const [range, setRange] = useState<[number, number]>([0, 12]);
  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const update = () => {
      const next = visibleColumns(sums, element.scrollLeft, element.clientWidth - leadWidth);
      setRange((now) => (now[0] === next[0] && now[1] === next[1] ? now : next));
    };
    update();
    const observer = new ResizeObserver(update);
    observer.observe(element);
    element.addEventListener("scroll", update, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", update);
    };
  }, [scroller, sums, leadWidth]);
  return range;
}

/** Tells when rows should keep their place: the reader points at them or has scrolled. */
export function useHold(scroller: RefObject<HTMLDivElement | null>, onHold: ((hold: boolean) => void) | undefined) {
  useEffect(() => {
    const element = scroller.current;
    if (!element || !onHold) return;
    let inside = false;
    const tell = () => onHold(inside || element.scrollTop > 0);
    const enter = () => {
      inside = true;
      tell();
    };
    const leave = () => {
      inside = false;
      tell();
    };
    element.addEventListener("pointerenter", enter);
    element.addEventListener("pointerleave", leave);
    element.addEventListener("scroll", tell, { passive: true });
    return () => {
      element.removeEventListener("pointerenter", enter);
      element.removeEventListener("pointerleave", leave);
      element.removeEventListener("scroll", tell);
    };
  }, [scroller, onHold]);
}
