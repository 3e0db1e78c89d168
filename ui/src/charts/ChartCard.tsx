/** One metric of some runs as a card: says how many points it shows, zooms into finer data, keeps its last picture. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Maximize2, Minimize2, RotateCcw } from "lucide-react";
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { seriesQuery } from "@/api/queries";
import type { Frame } from "@/api/series";
import { IconButton } from "@/components/Button";
import { ErrorState, ProgressLine } from "@/components/States";
import { CardMenu } from "./CardMenu";
import styles from "./ChartCard.module.css";
import { LinePlot } from "./LinePlot";
import { type ChartGroup, type ChartRun, groupLines, type Line, runLines } from "./lines";
import { badge, describe, notes } from "./say";
import { type CardSettings, type ChartSettings, cardSettings, seriesRequest, toOwn } from "./settings";

const DataTable = lazy(() => import("./DataTable"));

export interface ChartCardProps {
  metric: string;
  runs: readonly ChartRun[];
  /** Runs taken together; each run by itself where absent. */
  groups?: readonly ChartGroup[];
  page: ChartSettings;
  /** What this card says for itself. */
  own?: CardSettings;
  onOwn: (own: CardSettings | undefined) => void;
  /** Metrics that may be x. */
  metrics: readonly string[];
  /** The part of x that all cards of the page show. */
  zoom: [number, number] | null;
  onZoom: (zoom: [number, number] | null) => void;
}

const HEIGHT = 220;
const TALL = 460;

export function ChartCard(props: ChartCardProps) {
  const { metric, runs, groups, own, onOwn } = props;
  const [tall, setTall] = useState(false);
  const [table, setTable] = useState(false);
  const card = useRef<HTMLElement>(null);
  const near = useNear(card);
  const settings = useMemo(() => cardSettings(props.page, own), [props.page, own]);
  // Another axis than the page's has other places on it: the page's zoom means nothing there.
  const foreign = settings.x !== props.page.x || settings.xm !== props.page.xm;
  const zoom = foreign ? null : props.zoom;
  const request = useMemo(
    () => seriesRequest(metric, runs, groups, settings, zoom),
    [metric, runs, groups, settings, zoom],
  );
  const query = useQuery({
    ...seriesQuery(request),
    enabled: near && runs.length > 0,
    placeholderData: keepPreviousData,
  });
  const frame = query.data;
  const lines = useMemo(() => {
    if (!frame) return [];
    return groups ? groupLines(frame, groups, settings.spread) : runLines(frame, runs, settings.band);
  }, [frame, runs, groups, settings]);
  const height = tall ? TALL : HEIGHT;
  const toggle = (name: "log" | "logx" | "clip" | "band") =>
    onOwn(toOwn(props.page, { ...own, [name]: !settings[name] }));
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.target as HTMLElement).matches("figure")) return;
    if (event.key === "l") toggle("log");
    else if (event.key === "L") toggle("logx");
    else if (event.key === "o") toggle("clip");
    else if (event.key === "w") toggle("band");
    else if (event.key === "t") setTable(!table);
    else if (event.key === "f") setTall(!tall);
    else if (event.key === "z") props.onZoom(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the keys belong to the figure inside
    <section className={styles.card} ref={card} data-tall={tall} data-metric={metric} onKeyDown={onKeyDown}>
      <header className={styles.head}>
        <h3 title={metric}>{metric}</h3>
        {frame && <span className={styles.badge}>{badge(frame)}</span>}
        <span className={styles.tools}>
          {zoom && (
            <IconButton label="Reset zoom (double-click)" onClick={() => props.onZoom(null)}>
              <RotateCcw size={14} strokeWidth={1.5} />
            </IconButton>
          )}
          <IconButton label="Use a log scale for y" pressed={settings.log} onClick={() => toggle("log")}>
            <span className={styles.word}>log</span>
          </IconButton>
          <CardMenu
            {...props}
            settings={settings}
            frame={frame}
            lines={lines}
            table={table}
            onTable={() => setTable(!table)}
          />
          <IconButton label={tall ? "Smaller" : "Larger"} pressed={tall} onClick={() => setTall(!tall)}>
            {tall ? <Minimize2 size={14} strokeWidth={1.5} /> : <Maximize2 size={14} strokeWidth={1.5} />}
          </IconButton>
        </span>
      </header>
      <ProgressLine active={query.isFetching && query.isPlaceholderData} />
      {query.error && <ErrorState compact error={query.error} retry={() => query.refetch()} />}
      <div className={styles.body} style={{ minHeight: height }}>
        {near && frame && lines.length > 0 && (
          <LinePlot
            label={describe(metric, frame, lines, settings, Boolean(groups))}
            x={frame.x}
            dx={frame.dx}
            lines={lines}
            axis={settings.x}
            xName={settings.xm}
            logX={settings.logx}
            logY={settings.log}
            clip={settings.clip}
            height={height}
            group={`${settings.x} ${settings.xm} ${settings.logx}`}
            range={zoom}
            onZoom={foreign ? nowhere : props.onZoom}
          />
        )}
        {frame && lines.length === 0 && <p className={styles.none}>No points {zoom ? "in this window" : "yet"}.</p>}
      </div>
      {table && frame && (
        <Suspense>
          <DataTable metric={metric} frame={frame} lines={lines} settings={settings} />
        </Suspense>
      )}
      <Notes frame={frame} lines={lines} runs={runs.length} settings={settings} />
    </section>
  );
}

function nowhere() {}

/** What the picture leaves out, in words. */
function Notes(props: { frame: Frame | undefined; lines: readonly Line[]; runs: number; settings: ChartSettings }) {
  if (!props.frame) return null;
  const found = notes(props.frame, props.lines, props.runs, props.settings);
  return found.length ? <p className={styles.notes}>{found.join(" · ")}</p> : null;
}

/** True while the element is on or near the screen: charts far away hold no canvas and ask nothing. */
function useNear(element: React.RefObject<HTMLElement | null>): boolean {
  const [near, setNear] = useState(false);
  useEffect(() => {
    if (!element.current) return;
    const observer = new IntersectionObserver(([entry]) => setNear(entry?.isIntersecting ?? false), {
      rootMargin: "240px",
    });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [element]);
  return near;
}
