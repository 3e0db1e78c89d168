import { expect, it } from "vitest";
import { firstShown, sortFiles } from "./first";

const file = (path: string, file_size = 1) => ({ path, is_dir: false, file_size });

it("shows first what can be shown, MLmodel and README before all others", () => {
  const files = [file("m/weights.bin"), file("m/a.txt"), file("m/MLmodel"), { path: "m/code", is_dir: true }];
  expect(firstShown(files)?.path).toBe("m/MLmodel");
  expect(firstShown([file("b10.png"), file("b9.png"), file("a.txt", 0)])?.path).toBe("b9.png");
  expect(firstShown([file("weights.bin")])).toBeUndefined();
});

it("sorts folders before files and numbers as numbers", () => {
  const sorted = sortFiles([file("10"), file("9"), { path: "z", is_dir: true }]);
  expect(sorted.map((each) => each.path)).toEqual(["z", "9", "10"]);
});
