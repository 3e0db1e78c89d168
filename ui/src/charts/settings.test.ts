import { expect, it } from "vitest";
import { chartsSearch } from "@/lib/search";
import { cardSettings, pageSettings, seriesRequest, toSearch } from "./settings";

const runs = [{ id: "a", name: "a", style: { hue: 0, dash: 0 } }];

it("keeps defaults out of the address, and reads back what it wrote", () => {
  expect(
    chartsSearch({ ...toSearch({ x: "step", smooth: 0, log: false, band: true, clip: false, spread: "std" }) }),
  ).toEqual({});
  const change = { x: "metric" as const, xm: "epoch", smooth: 0.9, log: true, logx: true, band: false, clip: true };
  expect(pageSettings(chartsSearch({ ...toSearch(change) }))).toEqual({ ...change, spread: "std" });
});

it("lets a card differ from its page, and has no logarithmic time", () => {
  const page = pageSettings({ smooth: 0.5, logx: true });
  expect(cardSettings(page, { log: true })).toMatchObject({ smooth: 0.5, log: true, logx: true });
  expect(cardSettings(page, { x: "time" }).logx).toBe(false);
});

it("asks for what the settings mean and for nothing else", () => {
  const plain = { run_ids: ["a"], metrics: ["loss"], x: "step", width: 1024 };
  expect(seriesRequest("loss", runs, undefined, pageSettings({}), null)).toEqual(plain);
  const group = { id: "adam", name: "adam", style: runs[0]!.style, runIds: ["a"] };
  const settings = pageSettings({ x: "metric", xm: "epoch", smooth: 0.9, logx: true });
  expect(seriesRequest("loss", runs, [group], settings, [1, 5])).toEqual({
    ...plain,
    x: "metric",
    x_metric: "epoch",
    x_range: [1, 5],
    scale: "log",
    smoothing: { kind: "ema", amount: 0.9 },
    grouping: { groups: [{ name: "adam", run_ids: ["a"] }] },
  });
});
