/** Where the server lives when a proxy serves it under a path of its own: `/runlore`, or nothing. The page says it. */

let said: string | undefined;

/** The path before every address of the server; without a slash at its end. */
export function prefix(): string {
  said ??=
    typeof document === "undefined"
      ? ""
      : (document.querySelector("meta[name=runlore-prefix]")?.getAttribute("content") ?? "");
  return said;
}

/** An address of the server as the browser has to ask for it; one that is so already stays. */
export function atPrefix(path: string, before = prefix()): string {
  return before && path.startsWith(`${before}/`) ? path : before + path;
}
