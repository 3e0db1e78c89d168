/** Scatter plots and parallel coordinates of runs, as ECharts options. */

import type { EChartsCoreOption } from "echarts/core";
import { columnLabel } from "@/lib/columns";
import { numberOf, type Value } from "@/lib/compare";
import { formatNumber } from "@/lib/format";
import type { ChartRun } from "./lines";
import type { Ink } from "./svg";

/** Runs with the values of some columns: `values[i]` belong to `runs[i]`. */
export interface Explored {
  runs: readonly ChartRun[];
  columns: readonly string[];
  values: readonly (readonly Value[])[];
}

/** From low to high: told apart by colour-blind readers on both backgrounds. */
const RAMP = ["#3b4cc0", "#7b9ff9", "#c9b8a8", "#f08a3c", "#b8420b"];

/** A column is a scale of numbers when all its values are numbers, else one of words. */
export function axisKind(values: readonly Value[]): "value" | "category" {
  const there = values.filter((value) => value !== null && value !== undefined);
  return there.length > 0 && there.every((value) => numberOf(value) !== null) ? "value" : "category";
}

const columnOf = ({ values }: Explored, place: number) => values.map((row) => row[place]);

/** From this factor between its smallest and largest number on, a logarithm makes an axis clearer. */
const WIDE = 20;

function axis(explored: Explored, place: number, ink: Ink, log: boolean) {
  const column = columnOf(explored, place);
  const kind = axisKind(column);
  const words = kind === "category" ? [...new Set(column.map(word))].sort() : undefined;
  const numbers = column.map(numberOf).filter((number): number is number => number !== null && Number.isFinite(number));
  const wide = Math.min(...numbers) > 0 && Math.max(...numbers) / Math.min(...numbers) >= WIDE;
  return {
    name: columnLabel(explored.columns[place]!),
    type: log && kind === "value" && wide ? ("log" as const) : kind,
    data: words,
    scale: true,
    nameTextStyle: { color: ink.text },
    axisLabel: { color: ink.faint, ...(kind === "value" ? { formatter: (value: number) => formatNumber(value) } : {}) },
    axisLine: { lineStyle: { color: ink.faint } },
    splitLine: { lineStyle: { color: ink.grid } },
  };
}

function word(value: Value): string {
  return value === null || value === undefined ? "none" : String(value);
}

/** What stands at a place of an axis; nothing where the run has no such value. */
function placed(value: Value, kind: "value" | "category"): number | string | null {
  if (kind === "category") return word(value);
  const number = numberOf(value);
  return number !== null && Number.isFinite(number) ? number : null;
}

function colours(explored: Explored, place: number, ink: Ink, dimension: number) {
  const column = columnOf(explored, place);
  if (axisKind(column) === "category") {
    const words = [...new Set(column.map(word))].sort();
    return { type: "piecewise" as const, categories: words, dimension, inRange: { color: [...ink.hues] } };
  }
  const numbers = column.map(numberOf).filter((number): number is number => number !== null && Number.isFinite(number));
  const [min, max] = [Math.min(...numbers), Math.max(...numbers)];
  return { type: "continuous" as const, min, max, dimension, calculable: true, inRange: { color: RAMP } };
}

function legend(explored: Explored, place: number, ink: Ink, dimension: number) {
  const map = colours(explored, place, ink, dimension);
  const name = columnLabel(explored.columns[place]!);
  const numbers = { text: [name, ""], formatter: (value: number) => formatNumber(value) };
  return {
    ...map,
    right: 8,
    top: "middle",
    textStyle: { color: ink.faint },
    ...(map.type === "continuous" ? numbers : {}),
  };
}

/** Two columns against each other; a third one as colour, else each run has its own. */
export function scatterOption(explored: Explored, ink: Ink, log: boolean): EChartsCoreOption {
  const [x, y] = [axis(explored, 0, ink, log), axis(explored, 1, ink, log)];
  const kinds = explored.columns.map((_, place) => axisKind(columnOf(explored, place)));
  const data = explored.runs.flatMap((run, place) => {
    const value = explored.values[place]!.map((each, at) => placed(each, kinds[at]!));
    if (value[0] === null || value[1] === null) return [];
    return [
      {
        id: run.id,
        name: run.name,
        value,
        itemStyle: { color: explored.columns[2] ? undefined : ink.hues[run.style.hue] },
      },
    ];
  });
  return {
    animation: false,
    grid: { left: 70, right: explored.columns[2] ? 150 : 24, top: 30, bottom: 56 },
    tooltip: tooltip(explored, ink),
    xAxis: { ...x, nameLocation: "middle", nameGap: 34 },
    yAxis: { ...y, nameLocation: "end" },
    ...(explored.columns[2] ? { visualMap: legend(explored, 2, ink, 2) } : {}),
    series: [{ type: "scatter", symbolSize: 11, data, emphasis: { scale: 1.7 } }],
  };
}

/** One axis for each column and one line for each run, coloured by the last column. */
export function parallelOption(explored: Explored, ink: Ink, log: boolean): EChartsCoreOption {
  const last = explored.columns.length - 1;
  const kinds = explored.columns.map((_, place) => axisKind(columnOf(explored, place)));
  const data = explored.runs.map((run, place) => ({
    id: run.id,
    name: run.name,
    value: explored.values[place]!.map((each, at) => placed(each, kinds[at]!) ?? "-"),
  }));
  return {
    animation: false,
    tooltip: tooltip(explored, ink),
    parallel: { left: 60, right: 160, top: 50, bottom: 30 },
    parallelAxis: explored.columns.map((_, dim) => ({
      ...axis(explored, dim, ink, log),
      dim,
      areaSelectStyle: { width: 22, borderColor: ink.text, color: ink.faint, opacity: 0.25 },
    })),
    visualMap: legend(explored, last, ink, last),
    series: [
      {
        type: "parallel",
        data,
        smooth: false,
        inactiveOpacity: 0.06,
        lineStyle: { width: data.length > 100 ? 1 : 1.8, opacity: data.length > 100 ? 0.5 : 0.8 },
        emphasis: { lineStyle: { width: 4, opacity: 1 } },
      },
    ],
  };
}

function tooltip({ columns }: Explored, ink: Ink) {
  return {
    renderMode: "richText" as const,
    backgroundColor: ink.background,
    borderColor: ink.grid,
    textStyle: { color: ink.text, fontSize: 12 },
    formatter: ({ name, value }: { name: string; value: (string | number | null)[] }) => {
      const say = (each: string | number | null | undefined) =>
        typeof each === "number" ? formatNumber(each) : (each ?? "–");
      return [name, ...columns.map((column, at) => `${columnLabel(column)}: ${say(value[at])}`)].join("\n");
    },
  };
}
