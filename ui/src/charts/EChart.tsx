/** A chart drawn by ECharts: the only file that loads it, in a chunk of its own. */

import { ParallelChart, ScatterChart } from "echarts/charts";
import { GridComponent, ParallelComponent, TooltipComponent, VisualMapComponent } from "echarts/components";
import { type EChartsCoreOption, type EChartsType, init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";
import { useEffect, useRef } from "react";
import { hoveredId, onHover, setHovered } from "./hover";

use([
  ParallelChart,
  ScatterChart,
  GridComponent,
  ParallelComponent,
  TooltipComponent,
  VisualMapComponent,
  CanvasRenderer,
]);

interface EChartProps {
  option: EChartsCoreOption;
  /** The runs, in the order of the series' data. */
  ids: readonly string[];
  label: string;
  className?: string;
  onOpen: (id: string) => void;
  /** The runs inside of what was marked on the axes; `null` when nothing is. */
  onBrush: (ids: string[] | null) => void;
}

interface Pointed {
  data?: { id?: string };
}

export default function EChart({ option, ids, label, className, onOpen, onBrush }: EChartProps) {
  const box = useRef<HTMLElement>(null);
  const chart = useRef<EChartsType | null>(null);
  const latest = useRef({ ids, onOpen, onBrush });
  latest.current = { ids, onOpen, onBrush };
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const made = init(element, undefined, { renderer: "canvas" });
    chart.current = made;
    const observer = new ResizeObserver(() => made.resize());
    observer.observe(element);
    made.on("click", (event) => {
      const id = (event as Pointed).data?.id;
      if (id) latest.current.onOpen(id);
    });
    made.on("mouseover", (event) => setHovered((event as Pointed).data?.id ?? null));
    made.on("mouseout", () => setHovered(null));
    made.on("axisareaselected", () => latest.current.onBrush(brushed(made, latest.current.ids)));
    const stop = onHover(() => {
      made.dispatchAction({ type: "downplay", seriesIndex: 0 });
      const place = latest.current.ids.indexOf(hoveredId() ?? "");
      if (place >= 0) made.dispatchAction({ type: "highlight", seriesIndex: 0, dataIndex: place });
    });
    return () => {
      stop();
      observer.disconnect();
      made.dispose();
      chart.current = null;
    };
  }, []);
  useEffect(() => {
    chart.current?.setOption(option, { notMerge: true });
  }, [option]);
  return <figure ref={box} className={className} aria-label={label} />;
}

/** ECharts types its model as private; reading a brush from it is what its manual shows. */
interface Brushable {
  getModel: () => { getSeriesByIndex: (place: number) => { getRawIndicesByActiveState?: (state: string) => number[] } };
}

/** The runs that pass all marked parts of the axes. */
function brushed(chart: EChartsType, ids: readonly string[]): string[] | null {
  const series = (chart as unknown as Brushable).getModel().getSeriesByIndex(0);
  const active = series.getRawIndicesByActiveState?.("active") ?? [];
  return active.length > 0 && active.length < ids.length ? active.flatMap((place) => ids[place] ?? []) : null;
}
