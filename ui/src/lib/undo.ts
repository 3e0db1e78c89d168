/** Undo of what a page shows: each state of its address is an entry, 100 deep, for as long as the page is open. */

import { useEffect, useRef } from "react";

const DEPTH = 100;

/** The states that were, and those that were left by going back. */
export class Trail<State> {
  private past: State[] = [];
  private future: State[] = [];
  private last: string;

  constructor(private now: State) {
    this.last = JSON.stringify(now);
  }

  /** Another state is shown; what was undone before can not be redone after it. */
  visit(state: State): void {
    const text = JSON.stringify(state);
    if (text === this.last) return;
    this.past = [...this.past, this.now].slice(-DEPTH);
    this.future = [];
    [this.now, this.last] = [state, text];
  }

  /** The state before; `undefined` at the beginning. */
  back(): State | undefined {
    return this.step(this.past, this.future);
  }

  forward(): State | undefined {
    return this.step(this.future, this.past);
  }

  private step(from: State[], to: State[]): State | undefined {
    const state = from.pop();
    if (state === undefined) return undefined;
    to.push(this.now);
    [this.now, this.last] = [state, JSON.stringify(state)];
    return state;
  }
}

/** Ctrl (or ⌘) + Z goes back to what the page showed before, with Shift forward again; not while somebody types. */
export function useUndo<State>(state: State, show: (state: State) => void): void {
  const trail = useRef<Trail<State> | null>(null);
  trail.current ??= new Trail(state);
  const latest = useRef(show);
  latest.current = show;
  useEffect(() => trail.current?.visit(state), [state]);
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
      const target = event.target as HTMLElement;
      if (target.matches("textarea, input:not([type=checkbox]):not([type=range])") || target.isContentEditable) return;
      const next = event.shiftKey ? trail.current?.forward() : trail.current?.back();
      if (next === undefined) return;
      event.preventDefault();
      latest.current(next);
    };
    window.addEventListener("keydown", onKeyDown);
    return () => window.removeEventListener("keydown", onKeyDown);
  }, []);
}
