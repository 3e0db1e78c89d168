import { expect, it } from "vitest";
import { pageSettings } from "./settings";
import { nice, svgOf } from "./svg";

const ink = {
  background: "#fff",
  text: "#000",
  faint: "#666",
  grid: "#eee",
  hues: Array(8).fill("#123456"),
  band: 0.1,
};
const line = (id: string, y: (number | null | undefined)[]) => ({
  id,
  name: `<${id}>`,
  style: { hue: 0, dash: 1 },
  y,
  marks: [],
});
const picture = { title: "val/loss & more", range: null, yRange: null, settings: pageSettings({}) };

it("draws lines that break where they should, with names as text", () => {
  const svg = svgOf({ ...picture, x: [0, 1, 2, 3, 4], lines: [line("a", [1, 2, null, 2, 1])] }, ink);
  expect(svg.match(/d="M70 380l[^"]+M[^"]+"/)).not.toBeNull();
  expect(svg).toContain("val/loss &#38; more");
  expect(svg).toContain("&#60;a&#62;");
  expect(svg).toContain('stroke-dasharray="6 3"');
});

it("stays below 500 kB for 100 lines of 1,024 buckets", () => {
  const x = Array.from({ length: 1024 }, (_, index) => index);
  const lines = Array.from({ length: 100 }, (_, run) =>
    line(
      String(run),
      x.map((step) => Math.sin(step * 7 + run) * 10),
    ),
  );
  expect(svgOf({ ...picture, x, lines }, ink).length).toBeLessThan(500_000);
  const spike = line(
    "spike",
    x.map((step) => (step === 500 ? 1e6 : 0)),
  );
  const up = svgOf({ ...picture, x, lines: [...lines, spike] }, ink)
    .split("\n")
    .filter((part) => part.includes("-336"));
  expect(up).toHaveLength(1);
});

it("marks round numbers on an axis", () => {
  expect(nice(0.13, 1.04)).toEqual([0.2, 0.4, 0.6, 0.8, 1]);
  expect(nice(-3, 12)).toEqual([0, 5, 10]);
});
