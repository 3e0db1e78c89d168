/** Which preview fits a file, by its name; how much of it is fetched. */

export type FileKind = "text" | "json" | "table" | "image" | "binary";

const KINDS: Record<string, FileKind> = {
  ...every("image", "png jpg jpeg gif webp avif svg bmp ico"),
  ...every("json", "json geojson ipynb"),
  ...every("table", "csv tsv"),
  ...every(
    "text",
    "txt log md rst py ipy r jl js ts tsx sh bash zsh yaml yml toml ini cfg conf env xml html css sql tex java scala go rs c h cpp hpp jsonl ndjson diff patch lock requirements gitignore",
  ),
};
const NAMES: Record<string, FileKind> = {
  MLmodel: "text",
  Dockerfile: "text",
  Makefile: "text",
  LICENSE: "text",
  README: "text",
};

/** Bytes fetched for a preview. Images come whole or not at all. */
export const LIMITS: Record<FileKind, number> = {
  text: 512_000,
  json: 5_000_000,
  table: 512_000,
  image: 20_000_000,
  binary: 0,
};

function every(kind: FileKind, endings: string): Record<string, FileKind> {
  return Object.fromEntries(endings.split(" ").map((ending) => [ending, kind]));
}

/** The last part of a path. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The preview for a path. */
export function fileKind(path: string): FileKind {
  const name = baseName(path);
  const ending = name.includes(".") ? name.slice(name.lastIndexOf(".") + 1).toLowerCase() : "";
  return NAMES[name] ?? KINDS[ending] ?? "binary";
}

const IMAGE_TYPES: Record<string, string> = { jpg: "image/jpeg", svg: "image/svg+xml", ico: "image/x-icon" };

/** The media type of an image by its name: the server sends every file as plain bytes. */
export function imageType(path: string): string {
  const ending = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  return IMAGE_TYPES[ending] ?? `image/${ending}`;
}
