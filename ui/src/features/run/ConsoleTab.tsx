/** What the run printed: parts in the order of their names are the text, a session for each process that wrote. */

import { useQueries, useQuery } from "@tanstack/react-query";
import { Terminal } from "lucide-react";
import { useMemo, useState } from "react";
import { type FileOwner, fileUrl, getBytes } from "@/api/client";
import { filesQuery } from "@/api/queries";
import type { FileInfo, Run } from "@/api/types";
import { Button } from "@/components/Button";
import { EmptyState, ErrorState, Skeleton } from "@/components/States";
import { ansiPieces } from "@/lib/ansi";
import { formatBytes, plural } from "@/lib/format";
import styles from "./ConsoleTab.module.css";

const FOLDER = "runlore/console";
/** Parts shown at first, and more with each step back: up to 128 kB each. */
const STEP = 4;
const MOST_OF_A_PART = 1_000_000;
const LIVE_MS = 3000;

export default function ConsoleTab({ run }: { run: Run }) {
  const owner = useMemo<FileOwner>(() => ({ kind: "run", id: run.info.run_id }), [run.info.run_id]);
  const live = run.info.status === "RUNNING" ? LIVE_MS : false;
  const sessions = useQuery({ ...filesQuery(owner, FOLDER), refetchInterval: live });
  const folders = useMemo(() => named(sessions.data ?? []).filter((file) => file.is_dir), [sessions.data]);
  if (sessions.error) return <ErrorState error={sessions.error} retry={() => sessions.refetch()} />;
  if (sessions.isPending) return <Skeleton />;
  if (folders.length === 0) {
    return (
      <EmptyState title="Nothing was captured" icon={<Terminal size={20} strokeWidth={1.5} />}>
        <p>
          What a script prints while a run of Runlore's client is open appears here; RUNLORE_CONSOLE=0 turns it off.
        </p>
      </EmptyState>
    );
  }
  return (
    <div className={styles.tab}>
      {folders.map((folder) => (
        <Session key={folder.path} owner={owner} path={folder.path} live={live} titled={folders.length > 1} />
      ))}
    </div>
  );
}

interface SessionProps {
  owner: FileOwner;
  path: string;
  live: number | false;
  titled: boolean;
}

function Session({ owner, path, live, titled }: SessionProps) {
  const [most, setMost] = useState(STEP);
  const listed = useQuery({ ...filesQuery(owner, path), refetchInterval: live });
  const parts = useMemo(() => named(listed.data ?? []).filter((file) => !file.is_dir), [listed.data]);
  const shown = parts.slice(-most);
  const texts = useQueries({
    // The size is part of the name: a part that has grown is read again, the others are not.
    queries: shown.map((part) => ({
      queryKey: ["console", owner.id, part.path, part.file_size],
      queryFn: async ({ signal }: { signal: AbortSignal }) =>
        new TextDecoder().decode((await getBytes(fileUrl(owner, part.path), MOST_OF_A_PART, signal)).bytes),
      staleTime: Number.POSITIVE_INFINITY,
      placeholderData: (before: string | undefined) => before,
    })),
  });
  const error = listed.error ?? texts.find((each) => each.error)?.error;
  const text = texts.map((each) => each.data ?? "").join("");
  const pieces = useMemo(() => ansiPieces(text), [text]);
  const earlier = parts.slice(0, parts.length - shown.length);
  const name = path.slice(FOLDER.length + 1);
  return (
    <section className={styles.session} aria-label={`Console ${name}`}>
      {titled && <h2 className={styles.name}>{name}</h2>}
      {error && <ErrorState compact error={error} />}
      {earlier.length > 0 && (
        <p className={styles.earlier}>
          {plural(earlier.length, "earlier part")}, {formatBytes(sizeOf(earlier))}
          <Button small onClick={() => setMost(most + STEP)}>
            Show earlier
          </Button>
        </p>
      )}
      {listed.isPending ? (
        <Skeleton />
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
        <pre className={styles.text} tabIndex={0} role="region" aria-label="What was printed">
          {pieces.map(({ text: words, colour, bold, faint }, index) => (
            <span key={String(index)} data-colour={colour} data-bold={bold} data-faint={faint}>
              {words}
            </span>
          ))}
        </pre>
      )}
    </section>
  );
}

function named(files: readonly FileInfo[]): FileInfo[] {
  return [...files].sort((left, right) => (left.path < right.path ? -1 : 1));
}

function sizeOf(files: readonly FileInfo[]): number {
  return files.reduce((sum, file) => sum + Number(file.file_size ?? 0), 0);
}
