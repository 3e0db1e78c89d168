/** Calls to the server that served this page. Every failure is an `ApiError` with words that a person can use. */

import { decode } from "@msgpack/msgpack";
import { atPrefix } from "./prefix";

/** The server said no, or could not be reached (`status` 0). */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string,
    readonly path: string,
  ) {
    super(message);
    this.name = "ApiError";
  }

  /** For "copy details". */
  get details(): string {
    return `${this.path}\n${this.status || "no answer"} ${this.code}\n${this.message}`;
  }
}

async function request(path: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(atPrefix(path), { credentials: "same-origin", ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer. Is `runlore server` still running?", 0, "UNREACHABLE", path);
  }
  if (!response.ok) throw await failure(response, path);
  return response;
}

async function failure(response: Response, path: string): Promise<ApiError> {
  const text = await response.text().catch(() => "");
  try {
    const body = JSON.parse(text) as { error_code?: string; message?: string };
    if (body.message) return new ApiError(body.message, response.status, body.error_code ?? "", path);
  } catch {
    // not JSON: something between us and the server answered
  }
  return new ApiError(`The server answered ${response.status} ${response.statusText}.`, response.status, "", path);
}

type Query = Record<string, string | number | readonly (string | number)[] | undefined>;

/** The path with its query; lists repeat their name, as the server reads them. */
export function withQuery(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== undefined) parameters.append(name, String(item));
    }
  }
  const text = parameters.toString();
  return atPrefix(text ? `${path}?${text}` : path);
}

/** GET, JSON. */
export async function get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
  const response = await request(withQuery(path, query), { signal, headers: { Accept: "application/json" } });
  return (await response.json()) as T;
}

/** POST JSON (or another method's), JSON back. */
export async function post<T>(path: string, body: unknown, method = "POST", signal?: AbortSignal): Promise<T> {
  const response = await send(path, body, "application/json", signal, method);
  const text = await response.text();
  return (text ? JSON.parse(text) : {}) as T;
}

/** POST JSON, MessagePack back. */
export async function postForMessagePack(path: string, body: unknown, signal?: AbortSignal): Promise<unknown> {
  const response = await send(path, body, "application/vnd.msgpack, application/msgpack", signal);
  return decode(await response.arrayBuffer());
}

function send(path: string, body: unknown, accept: string, signal?: AbortSignal, method = "POST"): Promise<Response> {
  const headers = { "Content-Type": "application/json", Accept: accept };
  return request(path, { method, body: JSON.stringify(body), headers, signal });
}

/** A file's first bytes. */
export interface Bytes {
  bytes: Uint8Array<ArrayBuffer>;
  /** The whole file's size, where the server told it. */
  size: number | null;
  complete: boolean;
}

/** At most the first `most` bytes of a file: asks for that range, and stops reading where a server ignores the wish. */
export async function getBytes(path: string, most: number, signal?: AbortSignal): Promise<Bytes> {
  const response = await request(path, { signal, headers: { Range: `bytes=0-${most - 1}` } }).catch((error) => {
    // An empty file has no first byte: 416 says exactly that.
    if (error instanceof ApiError && error.status === 416) return new Response(new ArrayBuffer(0));
    throw error;
  });
  const size = totalSize(response);
  const reader = response.body?.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  let complete = true;
  while (reader) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    length += value.length;
    if (length > most) {
      complete = false;
      await reader.cancel();
      break;
    }
  }
  const bytes = new Uint8Array(Math.min(length, most));
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk.subarray(0, bytes.length - offset), offset);
    offset += Math.min(chunk.length, bytes.length - offset);
  }
  return { bytes, size, complete: complete && (size === null || size <= length) };
}

function totalSize(response: Response): number | null {
  const range = /\/(\d+)$/.exec(response.headers.get("Content-Range") ?? "");
  if (range) return Number(range[1]);
  const length = response.headers.get("Content-Length");
  return response.status === 200 && length && !response.headers.get("Content-Encoding") ? Number(length) : null;
}

/** Whose files: a run's, or a logged model's. */
export interface FileOwner {
  kind: "run" | "model";
  id: string;
}

/** Where a file is served from. */
export function fileUrl({ kind, id }: FileOwner, path: string): string {
  if (kind === "run") return withQuery("/get-artifact", { run_id: id, path });
  const files = `/ajax-api/2.0/mlflow/logged-models/${encodeURIComponent(id)}/artifacts/files`;
  return withQuery(files, { artifact_file_path: path });
}
