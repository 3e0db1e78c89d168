/**
 * Lines on a canvas: the only file that knows uPlot. All lines share one x column, as the server sends them; where a line
 * stands for buckets its smallest and largest values are drawn too, so that no spike is lost.
 */

import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { XAxis } from "@/lib/search";
import { useTheme } from "@/lib/theme";
import { onHover, setHovered } from "./hover";
import styles from "./LinePlot.module.css";
import type { Line } from "./lines";
import { columns, drawHovered, options } from "./plotOptions";
import { Tooltip } from "./Tooltip";

export interface LinePlotProps {
  /** What the figure shows, in a sentence. */
  label: string;
  x: number[];
  /** Width of a bucket in units of x; 0 for single points. */
  dx: number;
  lines: readonly Line[];
  axis: XAxis;
  /** The name of x, where that is a metric. */
  xName?: string;
  logX: boolean;
  logY: boolean;
  /** Shows the middle of the values only. */
  clip: boolean;
  height: number;
  /** Charts of one group move their cursors together. */
  group: string;
  /** The part of x in sight; `null` = all of it. */
  range: [number, number] | null;
  onZoom: (range: [number, number] | null) => void;
}

export interface Cursor {
  index: number;
  left: number;
  top: number;
}

/** See the module's words. Drag zooms, double-click resets; focused: ← → move the cursor, + − zoom, 0 resets. */
export function LinePlot(props: LinePlotProps) {
  const { x, lines, axis, logX, logY, height, range, onZoom } = props;
  const { dark } = useTheme();
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [cursor, setCursor] = useState<Cursor | null>(null);
  const [width, setWidth] = useState(0);
  const latest = useRef({ props, setCursor });
  latest.current = { props, setCursor };

  // biome-ignore lint/correctness/useExhaustiveDependencies: the columns are made of these alone
  const data = useMemo(() => columns(props), [x, lines, axis, logX, logY]);
  // A new picture only when what is drawn changes in kind; new values alone go into the one that stands.
  const shape = JSON.stringify([
    lines.map((line) => [line.id, line.style, Boolean(line.raw), Boolean(line.low)]),
    axis,
    logX,
    logY,
    props.clip,
    props.group,
    dark,
  ]);

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(Math.floor(element.clientWidth)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const ready = width > 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: `shape` stands for the lines; sizes and data have effects of their own
  useEffect(() => {
    const element = box.current;
    if (!element || !ready) return;
    const made = new uPlot(options(latest, width, height), data, element);
    plot.current = made;
    const overlay = document.createElement("canvas");
    overlay.className = styles.overlay ?? "";
    const highlight = () => {
      if (drawHovered(made, overlay, latest.current.props)) made.over.append(overlay);
      else overlay.remove();
    };
    const leave = () => setHovered(null);
    made.over.addEventListener("mouseleave", leave);
    made.hooks.draw = [...(made.hooks.draw ?? []), highlight];
    const stop = onHover(highlight);
    return () => {
      stop();
      plot.current = null;
      made.destroy();
    };
  }, [shape, ready]);

  useEffect(() => {
    if (ready) plot.current?.setSize({ width, height });
  }, [ready, width, height]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new range moves the scale although the data stays
  useEffect(() => {
    plot.current?.setData(data, true);
  }, [data, range]);

  const onKeyDown = (event: React.KeyboardEvent) => {
    const u = plot.current;
    if (!u || x.length === 0 || event.ctrlKey || event.metaKey) return;
    const at = cursor?.index ?? 0;
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      const next = Math.max(0, Math.min(x.length - 1, at + (event.key === "ArrowRight" ? 1 : -1)));
      u.setCursor({ left: u.valToPos(data[0][next]!, "x"), top: u.over.clientHeight / 2 });
    } else if (event.key === "+" || event.key === "-") {
      onZoom(scaled(x, range, x[at]!, event.key === "+" ? 0.5 : 2));
    } else if (event.key === "0") onZoom(null);
    else if (event.key === "Escape") u.setCursor({ left: -10, top: -10 });
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: the same
    <figure className={styles.figure} aria-label={props.label} tabIndex={0} onKeyDown={onKeyDown} style={{ height }}>
      <div ref={box} className={styles.box} data-plot="" />
      {cursor && (
        <Tooltip x={x} dx={props.dx} lines={lines} axis={axis} xName={props.xName} cursor={cursor} width={width} />
      )}
    </figure>
  );
}

/** A window around `centre`, `factor` as wide as now, inside the data. */
function scaled(x: number[], range: [number, number] | null, centre: number, factor: number): [number, number] | null {
  const all: [number, number] = [x[0]!, x[x.length - 1]!];
  const [from, to] = range ?? all;
  const half = ((to - from) * factor) / 2;
  return factor > 1 && !range ? null : [centre - half, centre + half];
}
