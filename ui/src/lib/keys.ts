/** Keyboard: pages register what they answer to, the key help lists exactly that. Nothing fires while someone types. */

import { useEffect, useRef, useSyncExternalStore } from "react";

export interface Binding {
  /** `j`, `?`, `g e`, `Enter`, `Shift+D`. */
  keys: string;
  does: string;
  run: (event: KeyboardEvent) => void;
}

const active = new Set<readonly Binding[]>();
const listeners = new Set<() => void>();
let listed: readonly Binding[] = [];
let prefix = "";
let prefixAt = 0;
const CHORD_MS = 1200;

function changed(): void {
  listed = [...active].flat();
  for (const listener of listeners) listener();
}

/** The bindings of everything on the page now. */
export function useBindings(): readonly Binding[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => listed,
  );
}

/** Answers to keys as long as the component is mounted. `bindings` may be new on every render. */
export function useKeys(bindings: readonly Binding[]): void {
  const latest = useRef(bindings);
  latest.current = bindings;
  const signature = bindings.map((binding) => `${binding.keys}\n${binding.does}`).join("\n");
  // biome-ignore lint/correctness/useExhaustiveDependencies: the signature stands for the bindings; functions are read late
  useEffect(() => {
    const fixed = latest.current.map((binding, index) => ({
      ...binding,
      run: (event: KeyboardEvent) => latest.current[index]?.run(event),
    }));
    active.add(fixed);
    changed();
    return () => {
      active.delete(fixed);
      changed();
    };
  }, [signature]);
}

/** True where a key means text or belongs to the control itself. */
function typing(event: KeyboardEvent): boolean {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.closest("[role=dialog], [role=menu], [role=listbox]")) return true;
  if (target instanceof HTMLInputElement) return !["checkbox", "radio", "button"].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

/** What a key press is called in a binding. */
export function keyName(event: Pick<KeyboardEvent, "key" | "shiftKey">): string {
  if (event.key === " ") return "Space";
  if (event.shiftKey && event.key.length === 1 && /[A-Z]/.test(event.key)) return `Shift+${event.key}`;
  return event.key;
}

/** Installs the one listener; returns how to remove it. */
export function listenForKeys(): () => void {
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event)) return;
    const name = keyName(event);
    const interactive = event.target instanceof HTMLElement && event.target.closest("a, button, input, summary");
    if (interactive && (name === "Enter" || name === "Space")) return;
    const chord = prefix && event.timeStamp - prefixAt < CHORD_MS ? `${prefix} ${name}` : name;
    prefix = "";
    const found = listed.findLast((binding) => binding.keys.split(", ").includes(chord));
    if (found) {
      event.preventDefault();
      found.run(event);
    } else if (listed.some((binding) => binding.keys.startsWith(`${name} `))) {
      prefix = name;
      prefixAt = event.timeStamp;
    }
  };
  window.addEventListener("keydown", onKeyDown);
  return () => window.removeEventListener("keydown", onKeyDown);
}
