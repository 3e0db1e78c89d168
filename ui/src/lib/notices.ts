/** What the page says in passing: that something was done, how to undo it, or that it failed. */

import { useSyncExternalStore } from "react";

export interface Notice {
  id: number;
  words: string;
  failed: boolean;
  /** Takes back what was done; offered as long as the notice stands. */
  undo?: () => void;
}

/** How long a notice that can be undone stands. */
export const UNDO_MS = 10_000;
const SAID_MS = 5_000;
const MOST = 4;

let shown: readonly Notice[] = [];
let last = 0;
const timers = new Map<number, ReturnType<typeof setTimeout>>();
const listeners = new Set<() => void>();

function show(next: readonly Notice[]): void {
  shown = next;
  for (const listener of listeners) listener();
}

/** Says something. Failures stand until they are closed. */
export function notify(words: string, { undo, failed = false }: { undo?: () => void; failed?: boolean } = {}): void {
  last += 1;
  show([...shown, { id: last, words, failed, undo }].slice(-MOST));
  if (!failed) wait(last, undo ? UNDO_MS : SAID_MS);
}

/** Takes a notice away. */
export function dismiss(id: number): void {
  clearTimeout(timers.get(id));
  timers.delete(id);
  show(shown.filter((notice) => notice.id !== id));
}

function wait(id: number, ms: number): void {
  clearTimeout(timers.get(id));
  timers.set(
    id,
    setTimeout(() => dismiss(id), ms),
  );
}

/** Keeps the notices while somebody points at them, and begins anew when they leave. */
export function holdNotices(hold: boolean): void {
  for (const notice of shown) {
    if (notice.failed) continue;
    clearTimeout(timers.get(notice.id));
    if (!hold) wait(notice.id, notice.undo ? UNDO_MS : SAID_MS);
  }
}

/** What stands there now, oldest first. */
export function useNotices(): readonly Notice[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => shown,
  );
}
