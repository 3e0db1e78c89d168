/** JSON as a tree that opens where one clicks. Long lists are shown in parts. */

import { ChevronDown, ChevronRight } from "lucide-react";
import { useState } from "react";
import styles from "./Artifacts.module.css";

const PART = 100;

export function JsonTree({ value }: { value: unknown }) {
  return (
    <div className={styles.json}>
      <Node name={null} value={value} depth={0} />
    </div>
  );
}

interface NodeProps {
  name: string | null;
  value: unknown;
  depth: number;
}

function Node({ name, value, depth }: NodeProps) {
  const [open, setOpen] = useState(depth < 2);
  const [most, setMost] = useState(PART);
  const label = name === null ? null : <span className={styles.key}>{name}: </span>;
  if (value === null || typeof value !== "object") {
    return (
      <div className={styles.leaf}>
        {label}
        <span data-type={value === null ? "null" : typeof value}>{JSON.stringify(value)}</span>
      </div>
    );
  }
  const entries = Object.entries(value);
  const [before, after] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  return (
    <div>
      <button type="button" className={styles.fold} aria-expanded={open} onClick={() => setOpen(!open)}>
        {open ? <ChevronDown size={12} aria-hidden="true" /> : <ChevronRight size={12} aria-hidden="true" />}
        {label}
        <span className={styles.count}>
          {before}
          {entries.length}
          {after}
        </span>
      </button>
      {open && (
        <div className={styles.children}>
          {entries.slice(0, most).map(([key, item]) => (
            <Node key={key} name={key} value={item} depth={depth + 1} />
          ))}
          {entries.length > most && (
            <button type="button" className={styles.more} onClick={() => setMost(most + PART * 10)}>
              {entries.length - most} more
            </button>
          )}
        </div>
      )}
    </div>
  );
}
