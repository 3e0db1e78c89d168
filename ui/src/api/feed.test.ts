import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { throughLeader } from "./events";
import { follow, type News, POLL_MS, WITHOUT_STREAM_MS } from "./feed";

/** An event source as far as a feed uses one; the test plays the server. */
class Source extends EventTarget {
  static opened: Source[] = [];
  readyState = 1;
  closed = false;
  constructor(readonly path: string) {
    super();
    Source.opened.push(this);
  }
  close() {
    this.closed = true;
    this.readyState = 2;
  }
  send(data: object) {
    this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(data) }));
  }
  fail(refused: boolean) {
    this.readyState = refused ? 2 : 0;
    this.dispatchEvent(new Event("error"));
  }
}

const run = (run_id: string) => ({ run_id, changed: ["metrics"], experiment_id: "0", status: "RUNNING" });
let heard: News[];
let asked: string[];
let answers: (() => { ok: boolean; status: number; json: () => Promise<object> })[];
const answer = (status: number, body: object) => () => ({ ok: status < 400, status, json: async () => body });
const tell = (news: News) => void heard.push(news);
const told = () => heard.flatMap((news) => ("changes" in news ? news.changes.runs.map((change) => change.run_id) : []));
const surroundings = (streams = true) => ({
  ...(streams ? { open: (path: string) => new Source(path) } : {}),
  fetch: async (path: string) => {
    asked.push(path);
    const next = answers.shift();
    if (!next) throw new TypeError("no answer");
    return next();
  },
});

beforeEach(() => {
  vi.useFakeTimers();
  [heard, asked, answers, Source.opened] = [[], [], [], []];
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it("tells what the stream says, with the fields that the wire leaves out", () => {
  follow(tell, surroundings());
  Source.opened[0]!.send({ cursor: "a" });
  Source.opened[0]!.send({ cursor: "b", runs: [run("r")] });
  expect(heard).toEqual([
    { connected: true },
    {
      changes: {
        cursor: "b",
        reset: false,
        settled: true,
        runs: [run("r")],
        experiments: [],
        registered_models: [],
        logged_models: [],
        other: [],
      },
    },
  ]);
});

it("leaves a broken connection to the browser, and says that there is none", () => {
  follow(tell, surroundings());
  Source.opened[0]!.send({ cursor: "a" });
  Source.opened[0]!.fail(false);
  expect(heard.at(-1)).toEqual({ connected: false });
  Source.opened[0]!.send({ cursor: "b", runs: [run("r")] });
  expect(told()).toEqual(["r"]);
  expect(Source.opened).toHaveLength(1);
});

it("asks every two seconds where the stream was refused, and tries it again from where it is", async () => {
  follow(tell, surroundings());
  Source.opened[0]!.send({ cursor: "a" });
  answers = Array.from({ length: 40 }, (_, n) =>
    answer(200, { cursor: `c${n}`, ...(n === 1 && { runs: [run("r")] }) }),
  );
  Source.opened[0]!.fail(true);
  await vi.advanceTimersByTimeAsync(POLL_MS + 100);
  expect(asked).toEqual(["/api/v1/changes?cursor=a", "/api/v1/changes?cursor=c0"]);
  expect(told()).toEqual(["r"]);
  await vi.advanceTimersByTimeAsync(WITHOUT_STREAM_MS + POLL_MS);
  expect(Source.opened).toHaveLength(2);
  expect(Source.opened[1]!.path).toMatch(/^\/api\/v1\/events\?cursor=c\d+$/);
  const before = asked.length;
  await vi.advanceTimersByTimeAsync(10 * POLL_MS);
  expect(asked.length).toBe(before);
});

it("begins anew where the server does not know the cursor", async () => {
  follow(tell, surroundings());
  Source.opened[0]!.send({ cursor: "of another server" });
  answers = [answer(400, {}), answer(200, { cursor: "new" })];
  Source.opened[0]!.fail(true);
  await vi.advanceTimersByTimeAsync(0);
  expect(heard.at(-1)).toMatchObject({ changes: { cursor: "new", reset: true } });
});

it("asks where there are no streams, and says so when nobody answers", async () => {
  answers = [answer(200, { cursor: "a" })];
  const stop = follow(tell, surroundings(false));
  await vi.advanceTimersByTimeAsync(POLL_MS + 100);
  expect(heard).toEqual([{ connected: true }, { connected: false }]);
  answers = [answer(200, { cursor: "b", runs: [run("r")] })];
  await vi.advanceTimersByTimeAsync(POLL_MS);
  expect(told()).toEqual(["r"]);
  stop();
  const before = asked.length;
  await vi.advanceTimersByTimeAsync(10 * POLL_MS);
  expect(asked.length).toBe(before);
});

/** Locks as browsers have them: one holder for each name, the others wait in order. */
class Locks {
  private waiting: (() => void)[] = [];
  private held = false;
  async request(_: string, { signal }: { signal: AbortSignal }, work: () => Promise<void>): Promise<void> {
    if (this.held) await new Promise<void>((resolve) => this.waiting.push(resolve));
    if (signal.aborted) throw signal.reason;
    this.held = true;
    await work();
    this.held = false;
    this.waiting.shift()?.();
  }
}

it("lets one tab listen for all, and another when that one goes", async () => {
  vi.useRealTimers();
  const turn = () => new Promise((resolve) => setTimeout(resolve, 20));
  vi.stubGlobal("navigator", { locks: new Locks() });
  vi.stubGlobal("EventSource", Source);
  const [first, second]: News[][] = [[], []];
  const stopFirst = throughLeader((news) => void first!.push(news));
  const stopSecond = throughLeader((news) => void second!.push(news));
  await turn();
  expect(Source.opened).toHaveLength(1);
  Source.opened[0]!.send({ cursor: "a", runs: [run("r")] });
  await turn();
  for (const tab of [first, second]) expect(tab!.at(-1)).toMatchObject({ changes: { runs: [{ run_id: "r" }] } });
  stopFirst();
  await turn();
  expect(Source.opened[0]!.closed).toBe(true);
  expect(Source.opened).toHaveLength(2);
  expect(second!.at(-1)).toMatchObject({ changes: { reset: true } });
  stopSecond();
});
