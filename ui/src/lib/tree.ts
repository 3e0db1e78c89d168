/** Nested runs as a tree within windows of a table that the server has sorted: a parent first, its children under it. */

export interface Arranged {
  /** Places in the window, in the order in which they are shown. */
  places: number[];
  /** How deep each shown row lies. */
  depths: number[];
}

/**
 * The rows of one window as a tree. Children whose parent is elsewhere stay where they are; those of a folded parent are left
 * out. Order within one parent is the window's.
 */
export function arrange(
  ids: readonly string[],
  parents: readonly (string | null)[],
  folded: ReadonlySet<string>,
): Arranged {
  const here = new Set(ids);
  const children = new Map<string, number[]>();
  const roots: number[] = [];
  ids.forEach((id, place) => {
    const parent = parents[place];
    if (!parent || parent === id || !here.has(parent)) roots.push(place);
    else children.set(parent, [...(children.get(parent) ?? []), place]);
  });
  const seen = new Set<number>();
  const arranged: Arranged = { places: [], depths: [] };
  const visit = (place: number, depth: number, shown: boolean) => {
    if (seen.has(place)) return;
    seen.add(place);
    const id = ids[place]!;
    if (shown) {
      arranged.places.push(place);
      arranged.depths.push(depth);
    }
    for (const child of children.get(id) ?? []) visit(child, depth + 1, shown && !folded.has(id));
  };
  for (const place of roots) visit(place, 0, true);
  // Runs that name each other as parent in a circle are still runs.
  ids.forEach((_, place) => {
    visit(place, 0, true);
  });
  return arranged;
}

/** Which window and which place in it a shown row stands for, when some windows show fewer rows than they hold. */
export class Layout {
  private readonly starts: number[] = [0];

  constructor(total: number, size: number, shown: (window: number) => number | undefined) {
    for (let window = 0; window * size < total; window++) {
      const rows = shown(window) ?? Math.min(size, total - window * size);
      this.starts.push(this.starts[window]! + rows);
    }
  }

  /** Rows in all. */
  get rows(): number {
    return this.starts[this.starts.length - 1]!;
  }

  /** The window that a row lies in, and the row's number there. Rows outside lie in the nearest window. */
  find(row: number): [window: number, row: number] {
    let [low, high] = [0, Math.max(0, this.starts.length - 2)];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle]! <= row) low = middle;
      else high = middle - 1;
    }
    return [low, row - this.starts[low]!];
  }
}
