/**
 * What changes on the server, for every tab, over one connection.
 *
 * A browser makes six connections to a server at most, all tabs together: a stream for each tab would leave none for questions.
 * So a shared worker listens for all of them; without shared workers, the one tab that holds a lock listens and tells the others;
 * without locks (pages that came over plain http from another machine), each tab asks every two seconds.
 */

import { follow, type News } from "./feed";
import { atPrefix, prefix } from "./prefix";
import type { Changes } from "./types";

type Hear = (changes: Changes) => void;

const listeners = new Set<Hear>();
const watchers = new Set<(connected: boolean) => void>();
let connected = true;
let end: (() => void) | undefined;

/** Calls `hear` with everything that changes from now on; with `reset`, anything may have changed. Answers how to stop. */
export function onChanges(hear: Hear): () => void {
  listeners.add(hear);
  end ??= connect(tell);
  return () => {
    listeners.delete(hear);
    if (listeners.size === 0) {
      end?.();
      end = undefined;
    }
  };
}

/** Calls `watch` with whether the server can be heard, now and whenever that changes. */
export function onConnection(watch: (connected: boolean) => void): () => void {
  watchers.add(watch);
  watch(connected);
  return () => void watchers.delete(watch);
}

function tell(news: News) {
  if ("changes" in news) for (const hear of listeners) hear(news.changes);
  else if (news.connected !== connected) {
    connected = news.connected;
    for (const watch of watchers) watch(connected);
  }
}

/** The best way there is in this browser. */
export function connect(tell: (news: News) => void): () => void {
  if (typeof SharedWorker !== "undefined") return throughWorker(tell, () => throughLeader(tell));
  return throughLeader(tell);
}

function throughWorker(tell: (news: News) => void, otherwise: () => () => void): () => void {
  let stop: (() => void) | undefined;
  let worker: SharedWorker;
  try {
    worker = new SharedWorker(new URL("./events.worker.ts", import.meta.url), {
      type: "module",
      name: `runlore${prefix()}`,
    });
  } catch {
    return otherwise();
  }
  const hello = () => worker.port.postMessage({ hello: prefix() });
  const bye = () => worker.port.postMessage({ bye: true });
  worker.onerror = () => {
    bye();
    stop ??= otherwise();
  };
  worker.port.onmessage = ({ data }: MessageEvent<News>) => tell(data);
  // A page that was put aside comes back as it was, and has missed what happened meanwhile.
  const shown = ({ persisted }: PageTransitionEvent) => {
    if (!persisted) return;
    hello();
    tell({ changes: everything() });
  };
  window.addEventListener("pagehide", bye);
  window.addEventListener("pageshow", shown);
  hello();
  return () => {
    bye();
    stop?.();
    window.removeEventListener("pagehide", bye);
    window.removeEventListener("pageshow", shown);
  };
}

/** One tab listens, and is followed by another when it goes; a tab that takes over looks at everything anew. */
export function throughLeader(tell: (news: News) => void): () => void {
  const streaming = {
    open: (path: string) => new EventSource(atPrefix(path)),
    fetch: (path: string) => fetch(atPrefix(path)),
  };
  if (typeof navigator === "undefined" || !navigator.locks || typeof BroadcastChannel === "undefined") {
    return follow(tell, { fetch: streaming.fetch });
  }
  const name = `runlore events${prefix()}`;
  const channel = new BroadcastChannel(name);
  channel.onmessage = ({ data }: MessageEvent<News>) => tell(data);
  const given = new AbortController();
  let release: (() => void) | undefined;
  let stop: (() => void) | undefined;
  navigator.locks
    .request(name, { signal: given.signal }, () => {
      const both = (news: News) => {
        tell(news);
        channel.postMessage(news);
      };
      stop = follow(both, streaming);
      both({ changes: everything() });
      return new Promise<void>((resolve) => {
        release = resolve;
      });
    })
    .catch(() => {}); // the page no longer waits for its turn
  return () => {
    given.abort();
    stop?.();
    release?.();
    channel.close();
  };
}

function everything(): Changes {
  return {
    cursor: "",
    reset: true,
    settled: true,
    runs: [],
    experiments: [],
    registered_models: [],
    logged_models: [],
    other: [],
  };
}
