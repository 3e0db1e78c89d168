import { expect, it } from "vitest";
import { axisKind, parallelOption, scatterOption } from "./explore";

const ink = { background: "#fff", text: "#000", faint: "#666", grid: "#eee", hues: ["#1", "#2"], band: 0.1 };
const runs = ["a", "b", "c"].map((id, hue) => ({ id, name: `run ${id}`, style: { hue: hue % 2, dash: 0 } }));
const explored = {
  runs,
  columns: ["params.lr", "metrics.acc@max", "params.opt"],
  values: [
    ["0.1", 0.5, "adam"],
    ["1e-2", 0.7, "sgd"],
    ["0.5", null, null],
  ],
};
interface Option {
  series: { data: { id: string; value: unknown[] }[] }[];
  visualMap: { type: string };
  xAxis: { type: string; name: string };
  parallelAxis: { type: string; data?: string[] }[];
}

it("takes a column of numbers in words as numbers, and one with any other word as words", () => {
  expect([axisKind(["0.1", null, 3]), axisKind(["0.1", "high"]), axisKind([null])]).toEqual([
    "value",
    "category",
    "category",
  ]);
});

it("leaves out of a scatter plot what has no place on it", () => {
  const option = scatterOption(explored, ink, true) as unknown as Option;
  expect(option.series[0]?.data.map((point) => [point.id, ...point.value])).toEqual([
    ["a", 0.1, 0.5, "adam"],
    ["b", 0.01, 0.7, "sgd"],
  ]);
  expect([option.xAxis.type, option.xAxis.name, option.visualMap.type]).toEqual(["log", "lr", "piecewise"]);
});

it("keeps every run in parallel coordinates, with a gap where it has no value", () => {
  const option = parallelOption(explored, ink, false) as unknown as Option;
  expect(option.series[0]?.data.map((line) => line.value)[2]).toEqual([0.5, "-", "none"]);
  expect(option.parallelAxis.map((axis) => axis.type)).toEqual(["value", "value", "category"]);
  expect(option.parallelAxis[2]?.data).toEqual(["adam", "none", "sgd"]);
});
