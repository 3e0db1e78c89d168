/** The shared worker: one stream for all tabs of a browser, which has six connections to a server and no more. */

import { follow, type News } from "./feed";
import { atPrefix } from "./prefix";

const scope = self as unknown as { onconnect: (event: MessageEvent) => void };
const ports = new Set<MessagePort>();
let connected: News | undefined;
let stop: (() => void) | undefined;

scope.onconnect = (event) => {
  const port = event.ports[0]!;
  port.onmessage = ({ data }: MessageEvent<{ hello?: string; bye?: true }>) => {
    if (data.hello === undefined) {
      ports.delete(port);
      return;
    }
    ports.add(port);
    if (connected) port.postMessage(connected);
    const prefix = data.hello;
    stop ??= follow(tell, {
      open: "EventSource" in self ? (path) => new EventSource(atPrefix(path, prefix)) : undefined,
      fetch: (path) => fetch(atPrefix(path, prefix)),
    });
  };
};

function tell(news: News) {
  if ("connected" in news) connected = news;
  for (const port of ports) port.postMessage(news);
  if (ports.size === 0) {
    stop?.();
    stop = connected = undefined;
  }
}
