/** An entry of a list of runs: pointing at it points at its line in all charts, and the other way round. */

import type { ReactNode } from "react";
import styles from "./Hoverable.module.css";
import { setHovered, useIsHovered } from "./hover";

interface HoverableProps {
  id: string;
  className?: string;
  children: ReactNode;
}

export function Hoverable({ id, className, children }: HoverableProps) {
  const hovered = useIsHovered(id);
  return (
    <li
      className={[styles.item, className].filter(Boolean).join(" ")}
      data-hovered={hovered}
      onPointerEnter={() => setHovered(id)}
      onPointerLeave={() => setHovered(null)}
      onFocus={() => setHovered(id)}
      onBlur={() => setHovered(null)}
    >
      {children}
    </li>
  );
}
