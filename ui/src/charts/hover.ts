/** Which run is pointed at, on all charts and in all lists at once, outside of React: a moving pointer renders nothing anew. */

import { useSyncExternalStore } from "react";

let hovered: string | null = null;
const listeners = new Set<() => void>();

/** Points at a run (or a group), or at none. */
export function setHovered(id: string | null): void {
  if (id === hovered) return;
  hovered = id;
  for (const listener of listeners) listener();
}

export function hoveredId(): string | null {
  return hovered;
}

/** Calls when another one is pointed at; returns how to stop. */
export function onHover(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** True while this one is pointed at. */
export function useIsHovered(id: string): boolean {
  return useSyncExternalStore(onHover, () => hovered === id);
}
