/** Light, dark or as the system says; followed live. `public/theme.js` sets the first one before the first paint. */

import { useSyncExternalStore } from "react";

export type ThemeChoice = "system" | "light" | "dark";
const KEY = "runlore.theme";
const ORDER: readonly ThemeChoice[] = ["system", "light", "dark"];
const listeners = new Set<() => void>();
const system = typeof matchMedia === "function" ? matchMedia("(prefers-color-scheme: dark)") : null;
let choice: ThemeChoice = stored();
let snapshot = { choice, dark: isDark() };

function stored(): ThemeChoice {
  try {
    const value = localStorage.getItem(KEY) as ThemeChoice;
    return ORDER.includes(value) ? value : "system";
  } catch {
    return "system";
  }
}

function isDark(): boolean {
  return choice === "dark" || (choice === "system" && (system?.matches ?? false));
}

function apply(): void {
  snapshot = { choice, dark: isDark() };
  document.documentElement.dataset.theme = snapshot.dark ? "dark" : "light";
  for (const listener of listeners) listener();
}

system?.addEventListener("change", apply);

/** Chooses a theme and remembers it on this machine. */
export function setTheme(next: ThemeChoice): void {
  choice = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // private windows may refuse: the choice then lasts until the page is closed
  }
  apply();
}

/** The next choice in the order system, light, dark. */
export function nextTheme(current: ThemeChoice): ThemeChoice {
  return ORDER[(ORDER.indexOf(current) + 1) % ORDER.length]!;
}

/** The choice, and whether the page is dark now. Re-renders when either changes. */
export function useTheme(): { choice: ThemeChoice; dark: boolean } {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => snapshot,
  );
}
