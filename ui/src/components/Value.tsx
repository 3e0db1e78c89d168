/** Values as people read them: short on screen, exact on hover, copied in full. */

import { Check, Copy } from "lucide-react";
import { useEffect, useState } from "react";
import { formatAgo, formatNumber, formatTime, fullNumber, toNumber } from "@/lib/format";
import { useNow } from "@/lib/now";
import { IconButton } from "./Button";
import styles from "./Value.module.css";

/** A number with 4 significant digits; all of them in the title. */
export function Num({ value }: { value: unknown }) {
  const number = toNumber(value);
  if (number === null) return <span className={styles.none}>–</span>;
  const short = formatNumber(number);
  const full = fullNumber(number);
  return (
    <span className={styles.number} title={short === full ? undefined : full} data-finite={Number.isFinite(number)}>
      {short}
    </span>
  );
}

/** `5 min ago`; the exact time in the title. */
export function Ago({ time }: { time: number | null | undefined }) {
  const now = useNow();
  if (time === null || time === undefined) return <span className={styles.none}>–</span>;
  return (
    <time dateTime={new Date(time).toISOString()} title={formatTime(time)}>
      {formatAgo(time, now)}
    </time>
  );
}

/** Copies `text`; shows a tick for a moment. */
export function CopyButton({ text, label = "Copy" }: { text: string | (() => string); label?: string }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 1500);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = async () => {
    await copyText(typeof text === "function" ? text() : text);
    setDone(true);
  };
  return (
    <IconButton label={done ? "Copied" : label} onClick={copy}>
      {done ? <Check size={14} strokeWidth={2} /> : <Copy size={14} strokeWidth={1.5} />}
    </IconButton>
  );
}

/** To the clipboard; through a text field where the page has no clipboard (plain http on another machine). */
export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

/** Code to copy. */
export function Snippet({ code, label }: { code: string; label: string }) {
  return (
    <div className={styles.snippet}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard */}
      <pre tabIndex={0} role="region" aria-label={label}>
        <code>{code}</code>
      </pre>
      <span className={styles.copy}>
        <CopyButton text={code} label={`Copy ${label}`} />
      </span>
    </div>
  );
}

/** A short label such as a tag. */
export function Chip({
  children,
  title,
  tone,
}: {
  children: React.ReactNode;
  title?: string;
  tone?: "accent" | "ok" | "warn" | "danger";
}) {
  return (
    <span className={styles.chip} data-tone={tone} title={title}>
      {children}
    </span>
  );
}
