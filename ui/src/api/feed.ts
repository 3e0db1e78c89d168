/**
 * One ear at the server: a stream of what changes, or, where there is no stream, a question every two seconds.
 *
 * Knows no page: it runs in a shared worker, or in the one tab that listens for all. What it needs of a browser is handed in.
 */

import type { Changes } from "./types";

/** What a feed needs of a browser. */
export interface Surroundings {
  /** Absent where there are no event sources. */
  open?: (path: string) => EventTarget & Pick<EventSource, "close" | "readyState">;
  fetch: (path: string) => Promise<Pick<Response, "ok" | "status" | "json">>;
}

/** What a feed tells: what changed, or whether the server can be heard. */
export type News = { changes: Changes } | { connected: boolean };

/** How long after a question the next one follows. */
export const POLL_MS = 2000;
/** How long the stream is given up for when the server refused it. */
export const WITHOUT_STREAM_MS = 30_000;

const CLOSED = 2;

/** Fields that the wire leaves out are put back. */
export function filled(changes: Partial<Changes> & { cursor: string }): Changes {
  return {
    reset: false,
    settled: true,
    runs: [],
    experiments: [],
    registered_models: [],
    logged_models: [],
    other: [],
    ...changes,
  };
}

export function isEmpty({ reset, runs, experiments, registered_models, logged_models, other }: Changes): boolean {
  return !reset && [runs, experiments, registered_models, logged_models, other].every((list) => list.length === 0);
}

/** Begins to listen; every change is told at least once. Answers how to stop. */
export function follow(tell: (news: News) => void, { open, fetch }: Surroundings): () => void {
  let cursor = "";
  let connected: boolean | undefined;
  let stopped = false;
  let source: ReturnType<NonNullable<Surroundings["open"]>> | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const isConnected = (now: boolean) => {
    if (now === connected) return;
    connected = now;
    tell({ connected });
  };
  const hear = (sent: Partial<Changes> & { cursor: string }) => {
    cursor = sent.cursor;
    isConnected(true);
    const changes = filled(sent);
    if (!isEmpty(changes)) tell({ changes });
  };

  const ask = async () => {
    const response = await fetch(`/api/v1/changes${query(cursor)}`);
    if (response.ok) hear(await response.json());
    else if (response.status === 400 && cursor) {
      // What we remember means nothing to this server: begin anew, and have everything looked at again.
      const anew = await fetch("/api/v1/changes");
      if (anew.ok) hear({ ...(await anew.json()), reset: true });
    } else isConnected(false);
  };

  const poll = async (until: number) => {
    await ask().catch(() => isConnected(false));
    if (stopped) return;
    const streamAgain = open && Date.now() >= until;
    timer = setTimeout(streamAgain ? stream : () => poll(until), POLL_MS);
  };

  const stream = () => {
    if (!open) return void poll(Number.POSITIVE_INFINITY);
    source = open(`/api/v1/events${query(cursor)}`);
    source.addEventListener("message", (event) => hear(JSON.parse((event as MessageEvent<string>).data)));
    source.addEventListener("error", () => {
      if (stopped) return;
      // A connection that broke is made again by the browser; one that was refused is not.
      if (source?.readyState === CLOSED) {
        source.close();
        void poll(Date.now() + WITHOUT_STREAM_MS);
      } else isConnected(false);
    });
  };

  stream();
  return () => {
    stopped = true;
    source?.close();
    clearTimeout(timer);
  };
}

function query(cursor: string): string {
  return cursor ? `?cursor=${encodeURIComponent(cursor)}` : "";
}
