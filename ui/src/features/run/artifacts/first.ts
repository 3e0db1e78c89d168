/** The file that is shown before one was chosen: better than an empty pane. */

import { type QueryClient, queryOptions } from "@tanstack/react-query";
import type { FileOwner } from "@/api/client";
import { filesQuery } from "@/api/queries";
import type { FileInfo } from "@/api/types";
import { baseName, fileKind } from "./kinds";

export interface Choice {
  owner: FileOwner;
  path: string;
}

/** Folders first, then by name, numbers as numbers. */
export function sortFiles(files: readonly FileInfo[]): FileInfo[] {
  return [...files].sort(
    (left, right) =>
      Number(right.is_dir) - Number(left.is_dir) || left.path.localeCompare(right.path, undefined, { numeric: true }),
  );
}

/** The first file that can be shown: README and MLmodel before all others. */
export function firstShown(files: readonly FileInfo[]): FileInfo | undefined {
  const shown = sortFiles(files).filter(
    (file) => !file.is_dir && file.file_size !== 0 && fileKind(file.path) !== "binary",
  );
  return shown.find((file) => /^(MLmodel|README.*)$/.test(baseName(file.path))) ?? shown[0];
}

/** How many folders are looked into before giving up. */
const FOLDERS = 12;

/** The first file of the owners that can be shown, nearest to their root; `null` when there is none. */
export const firstFileQuery = (client: QueryClient, owners: readonly FileOwner[]) =>
  queryOptions({
    queryKey: ["first file", owners],
    queryFn: async (): Promise<Choice | null> => {
      const waiting = owners.map((owner) => ({ owner, path: "" }));
      for (let looked = 0; looked < FOLDERS; looked++) {
        const next = waiting.shift();
        if (!next) break;
        const files = await client.fetchQuery(filesQuery(next.owner, next.path));
        const found = firstShown(files);
        if (found) return { owner: next.owner, path: found.path };
        waiting.push(
          ...sortFiles(files)
            .filter((file) => file.is_dir)
            .map((file) => ({ owner: next.owner, path: file.path })),
        );
      }
      return null;
    },
  });
