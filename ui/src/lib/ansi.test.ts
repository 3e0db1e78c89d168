import { expect, test } from "vitest";
import { ansiPieces } from "./ansi";

const ESC = "\u001b[";

test("plain text is one piece", () => {
  expect(ansiPieces("epoch 1\n")).toEqual([{ text: "epoch 1\n" }]);
  expect(ansiPieces("")).toEqual([]);
});

test("colours begin and end where their codes stand", () => {
  expect(ansiPieces(`a ${ESC}1;31mred${ESC}0m b ${ESC}92mgreen${ESC}39m.`)).toEqual([
    { text: "a " },
    { text: "red", bold: true, colour: 1 },
    { text: " b " },
    { text: "green", colour: 2 },
    { text: "." },
  ]);
});

test("numbers of rich colours are no codes, and codes without a look vanish", () => {
  expect(ansiPieces(`${ESC}38;5;31mx${ESC}38;2;31;32;33my${ESC}2Kz`)).toEqual([
    { text: "x" },
    { text: "y" },
    { text: "z" },
  ]);
});
