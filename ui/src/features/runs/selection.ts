/** Which runs are selected: some by name, or all that match except some. It lives in the address. */

import type { Chosen } from "@/api/changes";
import type { RunsSearch } from "@/lib/search";

/** Answers for each run, and how many there are. */
export class Selection {
  private readonly named: ReadonlySet<string>;

  constructor(
    private readonly search: Pick<RunsSearch, "sel" | "every" | "f">,
    private readonly total: number,
  ) {
    this.named = new Set(search.sel);
  }

  /** All that match, except those that are named. */
  get every(): boolean {
    return this.search.every ?? false;
  }

  get size(): number {
    return this.every ? Math.max(0, this.total - this.named.size) : this.named.size;
  }

  has(runId: string): boolean {
    return this.named.has(runId) !== this.every;
  }

  /** The address after some were marked or unmarked. */
  with(ids: readonly string[], on: boolean): Pick<RunsSearch, "sel"> {
    const next = new Set(this.named);
    for (const id of ids) {
      if (on !== this.every) next.add(id);
      else next.delete(id);
    }
    return { sel: next.size ? [...next] : undefined };
  }

  /** The selected runs by name; `null` where that would need asking the server. */
  get ids(): string[] | null {
    return this.every ? null : [...this.named];
  }

  /** For changes of all of them. */
  chosen(experimentId: string): Chosen {
    if (!this.every) return { experimentId, runIds: [...this.named] };
    return { experimentId, filter: this.search.f ?? "", except: [...this.named] };
  }
}
