/** One file: a preview made from its bytes by our own code, and the way to download it. Nothing of it is ever executed. */

import { useQuery } from "@tanstack/react-query";
import { Download, FileQuestion } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { type Bytes, type FileOwner, fileUrl } from "@/api/client";
import { fileQuery } from "@/api/queries";
import { EmptyState, ErrorState, Skeleton } from "@/components/States";
import { CopyButton } from "@/components/Value";
import { parseDelimited } from "@/lib/csv";
import { formatBytes } from "@/lib/format";
import styles from "./Artifacts.module.css";
import { JsonTree } from "./JsonTree";
import { baseName, fileKind, imageType, LIMITS } from "./kinds";

interface ViewerProps {
  owner: FileOwner;
  path: string;
  size: number | null;
  /** Of the content, where it was noted when the file was stored. */
  sha256: string | null;
}

export function Viewer({ owner, path, size, sha256 }: ViewerProps) {
  const kind = fileKind(path);
  const limit = LIMITS[kind];
  const tooBig = kind === "binary" || (kind === "image" && size !== null && size > limit);
  const query = useQuery({ ...fileQuery(owner, path, limit), enabled: !tooBig && size !== 0 });
  const known = size ?? query.data?.size ?? null;
  return (
    <article className={styles.file} aria-label={path}>
      <header className={styles.fileHead}>
        <h2 title={path}>{path}</h2>
        {known !== null && <span>{formatBytes(known)}</span>}
        {query.data && !query.data.complete && <span>first {formatBytes(query.data.bytes.length)} shown</span>}
        <CopyButton text={path} label="Copy path" />
        {sha256 && (
          <span title={`SHA-256 ${sha256}`}>
            <code>{sha256.slice(0, 12)}</code>
            <CopyButton text={sha256} label="Copy SHA-256" />
          </span>
        )}
        <a className={styles.download} href={fileUrl(owner, path)} download={baseName(path)}>
          <Download size={14} strokeWidth={1.5} aria-hidden="true" /> Download
        </a>
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard */}
      <div className={styles.fileBody} tabIndex={0} role="region" aria-label="Preview">
        {tooBig && (
          <NoPreview
            words={kind === "image" ? "This image is larger than 20 MB." : "There is no preview for this kind of file."}
          />
        )}
        {size === 0 && <p className={styles.hint}>The file is empty.</p>}
        {!tooBig && size !== 0 && query.isPending && <Skeleton />}
        {query.error && <ErrorState error={query.error} retry={() => query.refetch()} />}
        {query.data && <Preview kind={kind} path={path} file={query.data} />}
      </div>
    </article>
  );
}

function NoPreview({ words }: { words: string }) {
  return (
    <EmptyState title="No preview" icon={<FileQuestion size={20} strokeWidth={1.5} />}>
      <p>{words} Download it to look inside.</p>
    </EmptyState>
  );
}

function Preview({ kind, path, file }: { kind: string; path: string; file: Bytes }) {
  if (file.bytes.length === 0) return <p className={styles.hint}>The file is empty.</p>;
  if (kind === "image") return <Image path={path} file={file} />;
  if (kind === "json") return <Json file={file} />;
  if (kind === "table") return <Table path={path} file={file} />;
  return <Text file={file} />;
}

function decoded(file: Bytes): string {
  return new TextDecoder("utf-8").decode(file.bytes);
}

const MOST_LINES = 5000;

function Text({ file }: { file: Bytes }) {
  const lines = useMemo(() => decoded(file).split("\n"), [file]);
  if (lines.some((line) => line.includes("\u0000"))) return <NoPreview words="This file is not text." />;
  const shown = lines.slice(0, MOST_LINES);
  return (
    <div className={styles.text}>
      <pre className={styles.numbers} aria-hidden="true">
        {shown.map((_, index) => index + 1).join("\n")}
      </pre>
      <pre>
        {shown.join("\n")}
        {lines.length > MOST_LINES && `\n… ${lines.length - MOST_LINES} more lines`}
      </pre>
    </div>
  );
}

function Image({ path, file }: { path: string; file: Bytes }) {
  const [url, setUrl] = useState<string>();
  const [broken, setBroken] = useState(false);
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([file.bytes], { type: imageType(path) }));
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [file, path]);
  if (!file.complete) return <NoPreview words="This image is larger than 20 MB." />;
  if (broken) return <NoPreview words="The browser can not read this image." />;
  return (
    <div className={styles.image}>{url && <img src={url} alt={baseName(path)} onError={() => setBroken(true)} />}</div>
  );
}

function Json({ file }: { file: Bytes }) {
  const parsed = useMemo(() => {
    try {
      return { value: JSON.parse(decoded(file)) as unknown };
    } catch {
      return null;
    }
  }, [file]);
  // Cut off, or not JSON after all: still readable as text.
  return parsed ? <JsonTree value={parsed.value} /> : <Text file={file} />;
}

const MOST_ROWS = 200;
const MOST_COLUMNS = 60;

function Table({ path, file }: { path: string; file: Bytes }) {
  const rows = useMemo(
    () =>
      parseDelimited(decoded(file), path.toLowerCase().endsWith(".tsv") ? "\t" : ",", MOST_ROWS + 1, !file.complete),
    [file, path],
  );
  const [head = [], ...body] = rows;
  const cells = head.slice(0, MOST_COLUMNS);
  const cut = rows.length > MOST_ROWS || !file.complete;
  return (
    <div className={styles.csv}>
      <table>
        <thead>
          <tr>
            <th scope="col" className={styles.index}>
              #
            </th>
            {cells.map((cell, index) => (
              <th key={`${index} ${cell}`} scope="col">
                {cell}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {body.map((row, index) => (
            <tr key={String(index)}>
              <td className={styles.index}>{index + 1}</td>
              {cells.map((name, column) => {
                const cell = row[column] ?? "";
                return (
                  <td key={`${column} ${name}`} data-number={cell !== "" && !Number.isNaN(Number(cell))}>
                    {cell}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
      {(cut || head.length > MOST_COLUMNS) && (
        <p className={styles.hint}>
          {cut && `First ${body.length} rows. `}
          {head.length > MOST_COLUMNS && `${MOST_COLUMNS} of ${head.length} columns.`}
        </p>
      )}
    </div>
  );
}
