/** Charts as files: pictures, and the numbers behind them as shown. */

import type { Frame } from "@/api/series";
import { fullNumber } from "@/lib/format";
import { writeTable } from "@/lib/tabular";
import { type Line, type MaybeNumber, middleRange } from "./lines";
import type { ChartSettings } from "./settings";
import { pageInk, svgOf } from "./svg";

export interface Shown {
  metric: string;
  frame: Frame;
  lines: readonly Line[];
  settings: ChartSettings;
  range: readonly [number, number] | null;
}

function svgText({ metric, frame, lines, settings, range }: Shown): string {
  const yRange = settings.clip ? (middleRange(lines)?.range ?? null) : null;
  return svgOf({ title: metric, x: frame.x, lines, settings, range, yRange }, pageInk());
}

export function saveSvg(shown: Shown): void {
  save(new Blob([svgText(shown)], { type: "image/svg+xml" }), `${fileName(shown.metric)}.svg`);
}

/** `factor` dots for each of the picture's units. */
export async function savePng(shown: Shown, factor: number): Promise<void> {
  const address = URL.createObjectURL(new Blob([svgText(shown)], { type: "image/svg+xml" }));
  try {
    const picture = new Image();
    picture.src = address;
    await picture.decode();
    const canvas = document.createElement("canvas");
    canvas.width = picture.naturalWidth * factor;
    canvas.height = picture.naturalHeight * factor;
    canvas.getContext("2d")?.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
    if (blob) save(blob, `${fileName(shown.metric)}.png`);
  } finally {
    URL.revokeObjectURL(address);
  }
}

/** One row for each x, and for each line what is drawn, the unsmoothed value and the band, where there are such. */
export function csvAsShown({ frame, lines, settings, range }: Omit<Shown, "metric">): string {
  const parts = lines.flatMap((line) => [
    { name: line.name, values: line.y },
    ...(line.raw ? [{ name: `${line.name} (unsmoothed)`, values: line.raw }] : []),
    ...(line.low ? [{ name: `${line.name} (low)`, values: line.low }] : []),
    ...(line.high ? [{ name: `${line.name} (high)`, values: line.high }] : []),
  ]);
  const x =
    settings.x === "metric"
      ? (settings.xm ?? "x")
      : { step: "step", time: "time_ms", relative: "relative_ms" }[settings.x];
  const field = (value: MaybeNumber) => (typeof value === "number" ? fullNumber(value) : "");
  const rows = frame.x.flatMap((place, index) => {
    if (range && (place < range[0] || place > range[1])) return [];
    return [[fullNumber(place), ...parts.map(({ values }) => field(values[index]))]];
  });
  return writeTable([x, ...parts.map(({ name }) => name)], rows, "csv");
}

export function saveCsv(shown: Shown): void {
  save(new Blob([csvAsShown(shown)], { type: "text/csv" }), `${fileName(shown.metric)}.csv`);
}

function fileName(metric: string): string {
  return metric.replace(/[^\w.-]+/g, "_");
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
