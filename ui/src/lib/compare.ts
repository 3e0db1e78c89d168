/** What differs between runs, by how much, and who has the extremes: the arithmetic of the compare page. */

import { fullNumber, toNumber } from "./format";

export type Value = string | number | null | undefined;

export interface Delta {
  absolute: number;
  /** As a part of the baseline's size; `null` where that is zero. */
  part: number | null;
}

/** The number that a value is: metrics are numbers, params are text that may say one. */
export function numberOf(value: Value): number | null {
  if (value === null || value === undefined) return null;
  const wire = toNumber(value);
  if (wire !== null) return wire;
  const text = String(value).trim();
  if (text === "" || !/^[-+]?(\d|\.\d)/.test(text)) return null;
  const number = Number(text);
  return Number.isNaN(number) ? null : number;
}

/** Equal as people read them: `0.10` and `0.1` are, NaN and NaN are, absent and empty are not. */
export function sameValue(left: Value, right: Value): boolean {
  if ((left ?? null) === (right ?? null)) return true;
  const [a, b] = [numberOf(left), numberOf(right)];
  return a !== null && b !== null && Object.is(a, b);
}

/** True when not all values are the same; an absent one differs from every other. */
export function differs(values: readonly Value[]): boolean {
  return values.some((value) => !sameValue(value, values[0]));
}

/** How far a value lies from the baseline's; `null` where one of them is no finite number, or they are the same. */
export function delta(value: Value, baseline: Value): Delta | null {
  const [a, b] = [numberOf(value), numberOf(baseline)];
  if (a === null || b === null || !Number.isFinite(a) || !Number.isFinite(b) || a === b) return null;
  return { absolute: a - b, part: b === 0 ? null : (a - b) / Math.abs(b) };
}

/** Places of the smallest and the largest number of a row, all that share them; none where all are the same or alone. */
export function extremes(values: readonly Value[]): { lowest: Set<number>; highest: Set<number> } {
  const numbers = values.map(numberOf);
  const finite = numbers.filter((number): number is number => number !== null && Number.isFinite(number));
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const at = (wanted: number) =>
    new Set(low === high ? [] : numbers.flatMap((number, place) => (number === wanted ? [place] : [])));
  return { lowest: at(low), highest: at(high) };
}

/** `+0.0121`, `−3`. */
export function signed(number: number, words: (size: number) => string): string {
  return `${number < 0 ? "−" : "+"}${words(Math.abs(number))}`;
}

/** `+1.2%`, `−35%`; changes beyond a thousand times are written as factors. */
export function percent(part: number): string {
  const size = Math.abs(part) * 100;
  if (size >= 100_000) return part > 0 ? `×${(part + 1).toPrecision(2)}` : `−×${Math.abs(part).toPrecision(2)}`;
  return signed(part, () => `${size >= 100 ? Math.round(size).toLocaleString("en-US") : size.toPrecision(2)}%`);
}

/** A value in full, as it is copied. */
export function fullText(value: Value): string {
  if (value === null || value === undefined) return "";
  return typeof value === "number" ? fullNumber(value) : value;
}
