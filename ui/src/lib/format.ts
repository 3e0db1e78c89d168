/** How numbers, sizes and durations are written: 4 significant digits on screen, the full value on hover and copy. */

/** A value as the wire sends it: non-finite floats travel as words. */
export type WireNumber = number | "NaN" | "Infinity" | "-Infinity";

/** The number that a wire value stands for; `null` when it is not one. */
export function toNumber(value: unknown): number | null {
  if (typeof value === "number") return value;
  if (value === "NaN") return Number.NaN;
  if (value === "Infinity") return Number.POSITIVE_INFINITY;
  if (value === "-Infinity") return Number.NEGATIVE_INFINITY;
  return null;
}

const SUPERFLUOUS_ZEROS = /(\.\d*?)0+(?=e|$)/;

/** `value` with `digits` significant digits: `0.2143`, `12,340`, `1.2e-5` and never `0.000`. */
export function formatNumber(value: number, digits = 4): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e9) return minus(value.toLocaleString("en-US"));
  if (size >= 1e6 || size < 1e-3) {
    return minus(
      value
        .toExponential(digits - 1)
        .replace(SUPERFLUOUS_ZEROS, "$1")
        .replace(".e", "e")
        .replace("e+", "e"),
    );
  }
  const text = value.toPrecision(digits);
  const plain = text.includes("e") ? String(Number(text)) : text.replace(SUPERFLUOUS_ZEROS, "$1").replace(/\.$/, "");
  return minus(size >= 1000 ? Number(plain).toLocaleString("en-US", { maximumFractionDigits: digits }) : plain);
}

function minus(text: string): string {
  return text.startsWith("-") ? `−${text.slice(1)}` : text;
}

/** Every digit that the number has. */
export function fullNumber(value: number): string {
  return Number.isNaN(value) ? "NaN" : String(value);
}

/** `1,240`. */
export function formatCount(value: number): string {
  return value.toLocaleString("en-US");
}

/** `1 run`, `1,240 runs`. */
export function plural(count: number, noun: string, many = `${noun}s`): string {
  return `${formatCount(count)} ${count === 1 ? noun : many}`;
}

/** `1.4 MB`: powers of 1,000, as disks are sold. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let size = bytes / 1000;
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${size < 9.95 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

/** `340 ms`, `12.4 s`, `3m 20s`, `2h 05m`, `4d 3h`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 0) return `−${formatDuration(-milliseconds)}`;
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 59.95) return `${seconds.toFixed(1).replace(/\.0$/, "")} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${pad(whole % 60)}s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)}h ${pad(Math.floor((whole % 3600) / 60))}m`;
  return `${Math.floor(whole / 86_400)}d ${Math.floor((whole % 86_400) / 3600)}h`;
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}

/** `just now`, `5 min ago`, `3 h ago`, `2 days ago`, then the date. */
export function formatAgo(time: number, now: number): string {
  const seconds = Math.round((now - time) / 1000);
  if (seconds < -5) return formatDate(time);
  if (seconds < 10) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  const days = Math.floor(seconds / 86_400);
  return days < 14 ? `${days} ${days === 1 ? "day" : "days"} ago` : formatDate(time);
}

/** `2026-11-23`, local time. */
export function formatDate(time: number): string {
  const date = new Date(time);
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

/** `2026-11-23 09:04:07`, local time. */
export function formatTime(time: number): string {
  const date = new Date(time);
  return `${formatDate(time)} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

/** `abcdef…uvwxyz`: both ends of a name tell runs apart, the middle rarely does. */
export function middleEllipsis(text: string, most: number): string {
  if (text.length <= most) return text;
  const head = Math.ceil((most - 1) * 0.6);
  return `${text.slice(0, head)}…${text.slice(text.length - (most - 1 - head))}`;
}
