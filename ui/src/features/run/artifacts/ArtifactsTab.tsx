/** A run's files: the tree on the left, the chosen file on the right. */

import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { ChevronDown, ChevronRight, File, Folder, FolderOpen } from "lucide-react";
import { useState } from "react";
import { filesQuery } from "@/api/queries";
import type { FileInfo } from "@/api/types";
import { EmptyState, ErrorState, Skeleton } from "@/components/States";
import { Snippet } from "@/components/Value";
import { formatBytes } from "@/lib/format";
import styles from "./Artifacts.module.css";
import { baseName } from "./kinds";
import { Viewer } from "./Viewer";

const route = getRouteApi("/e/$exp/r/$run/$tab");

export default function ArtifactsTab({ runId }: { runId: string }) {
  const { path } = route.useSearch();
  const navigate = useNavigate({ from: "/e/$exp/r/$run/$tab" });
  const root = useQuery(filesQuery(runId, ""));
  const folder = path?.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
  const beside = useQuery({ ...filesQuery(runId, folder), enabled: Boolean(path) });
  const size = beside.data?.find((file) => file.path === path)?.file_size ?? null;
  const open = (file: FileInfo) => navigate({ search: (old) => ({ ...old, path: file.path }), replace: true });
  if (root.isPending) return <Skeleton />;
  if (!root.data) return <ErrorState error={root.error} retry={() => root.refetch()} />;
  if (root.data.length === 0) {
    return (
      <EmptyState title="No artifacts" icon={<Folder size={20} strokeWidth={1.5} />}>
        <p>Files that belong to the run: models, plots, tables, logs.</p>
        <Snippet
          label="snippet"
          code={
            'runlore.log_artifact("model.pkl")\nrunlore.log_text("notes", "notes.txt")\nrunlore.log_figure(figure, "loss.png")'
          }
        />
      </EmptyState>
    );
  }
  return (
    <div className={styles.split}>
      <nav className={styles.tree} aria-label="Files">
        <Level runId={runId} files={root.data} chosen={path} onOpen={open} />
      </nav>
      <div className={styles.viewer}>
        {path && beside.isPending && <Skeleton />}
        {path && !beside.isPending ? <Viewer key={path} runId={runId} path={path} size={size} /> : null}
        {!path && <p className={styles.hint}>Choose a file to see it here.</p>}
      </div>
    </div>
  );
}

interface LevelProps {
  runId: string;
  files: readonly FileInfo[];
  chosen: string | undefined;
  onOpen: (file: FileInfo) => void;
}

function Level({ runId, files, chosen, onOpen }: LevelProps) {
  const sorted = [...files].sort(
    (left, right) =>
      Number(right.is_dir) - Number(left.is_dir) || left.path.localeCompare(right.path, undefined, { numeric: true }),
  );
  return (
    <ul>
      {sorted.map((file) =>
        file.is_dir ? (
          <Branch key={file.path} runId={runId} folder={file} chosen={chosen} onOpen={onOpen} />
        ) : (
          <li key={file.path}>
            <button
              type="button"
              className={styles.node}
              aria-current={chosen === file.path ? "true" : undefined}
              onClick={() => onOpen(file)}
            >
              <File size={14} strokeWidth={1.5} aria-hidden="true" />
              <span title={file.path}>{baseName(file.path)}</span>
              {typeof file.file_size === "number" && <small>{formatBytes(file.file_size)}</small>}
            </button>
          </li>
        ),
      )}
    </ul>
  );
}

function Branch({ runId, folder, chosen, onOpen }: Omit<LevelProps, "files"> & { folder: FileInfo }) {
  const [open, setOpen] = useState(chosen?.startsWith(`${folder.path}/`) ?? false);
  const query = useQuery({ ...filesQuery(runId, folder.path), enabled: open });
  return (
    <li>
      <button type="button" className={styles.node} aria-expanded={open} onClick={() => setOpen(!open)}>
        {open ? <ChevronDown size={14} aria-hidden="true" /> : <ChevronRight size={14} aria-hidden="true" />}
        {open ? (
          <FolderOpen size={14} strokeWidth={1.5} aria-hidden="true" />
        ) : (
          <Folder size={14} strokeWidth={1.5} aria-hidden="true" />
        )}
        <span title={folder.path}>{baseName(folder.path)}</span>
      </button>
      {open && query.error && <ErrorState compact error={query.error} retry={() => query.refetch()} />}
      {open && query.data && (
        <div className={styles.inside}>
          <Level runId={runId} files={query.data} chosen={chosen} onOpen={onOpen} />
          {query.data.length === 0 && <p className={styles.nothing}>Empty folder</p>}
        </div>
      )}
    </li>
  );
}
