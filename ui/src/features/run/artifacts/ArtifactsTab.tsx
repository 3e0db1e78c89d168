/** A run's files and those of the models it logged: the tree on the left, the chosen file on the right. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { Box, ChevronDown, ChevronRight, File, Folder, FolderOpen } from "lucide-react";
import { useMemo, useState } from "react";
import type { FileOwner } from "@/api/client";
import { filesQuery, loggedModelQuery } from "@/api/queries";
import type { FileInfo, Run } from "@/api/types";
import { EmptyState, ErrorState, Skeleton } from "@/components/States";
import { Snippet } from "@/components/Value";
import { formatBytes } from "@/lib/format";
import styles from "./Artifacts.module.css";
import { type Choice, firstFileQuery, sortFiles } from "./first";
import { baseName } from "./kinds";
import { Viewer } from "./Viewer";

const route = getRouteApi("/e/$exp/r/$run/$tab");

export default function ArtifactsTab({ run }: { run: Run }) {
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/e/$exp/r/$run/$tab" });
  const runId = run.info.run_id;
  const outputs = run.outputs?.model_outputs;
  const owner = useMemo<FileOwner>(() => ({ kind: "run", id: runId }), [runId]);
  const models = useMemo<FileOwner[]>(() => {
    const ids = new Set(outputs?.map((output) => output.model_id));
    if (search.model) ids.add(search.model);
    return [...ids].map((id) => ({ kind: "model", id }));
  }, [outputs, search.model]);
  const root = useQuery(filesQuery(owner, ""));
  const choice = useChoice(owner, models, search);
  const open = (next: Choice) => {
    const model = next.owner.kind === "model" ? next.owner.id : undefined;
    return navigate({ search: (old) => ({ ...old, path: next.path, model }), replace: true });
  };
  if (root.isPending) return <Skeleton />;
  if (!root.data) return <ErrorState error={root.error} retry={() => root.refetch()} />;
  if (root.data.length === 0 && models.length === 0) return <NoFiles />;
  return (
    <div className={styles.split}>
      <nav className={styles.tree} aria-label="Files">
        {models.length > 0 && <h2 className={styles.section}>Models</h2>}
        <ul>
          {models.map((model) => (
            <Model key={model.id} owner={model} choice={choice} onOpen={open} />
          ))}
        </ul>
        {models.length > 0 && root.data.length > 0 && <h2 className={styles.section}>Files</h2>}
        <Level owner={owner} files={root.data} choice={choice} onOpen={open} />
      </nav>
      <div className={styles.viewer}>
        {choice === undefined && <Skeleton />}
        {choice === null && <p className={styles.hint}>Choose a file to see it here.</p>}
        {choice && <Chosen key={`${choice.owner.id} ${choice.path}`} choice={choice} />}
      </div>
    </div>
  );
}

/** What the address names, else the first file that can be shown; `undefined` until that is known. */
function useChoice(run: FileOwner, models: FileOwner[], search: { path?: string; model?: string }) {
  const client = useQueryClient();
  const named = useMemo<FileOwner>(
    () => (search.model ? { kind: "model", id: search.model } : run),
    [search.model, run],
  );
  const owners = search.model ? [named] : [run, ...models];
  const first = useQuery({ ...firstFileQuery(client, owners), enabled: !search.path });
  return useMemo<Choice | null | undefined>(
    () => (search.path ? { owner: named, path: search.path } : first.isError ? null : first.data),
    [named, search.path, first.data, first.isError],
  );
}

function Chosen({ choice: { owner, path } }: { choice: Choice }) {
  const folder = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
  const beside = useQuery(filesQuery(owner, folder));
  const file = beside.data?.find((entry) => entry.path === path);
  if (beside.isPending) return <Skeleton />;
  return <Viewer owner={owner} path={path} size={file?.file_size ?? null} sha256={file?.sha256 ?? null} />;
}

function NoFiles() {
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

interface TreeProps {
  owner: FileOwner;
  choice: Choice | null | undefined;
  onOpen: (choice: Choice) => void;
}

function Level({ files, ...tree }: TreeProps & { files: readonly FileInfo[] }) {
  const { owner, choice, onOpen } = tree;
  return (
    <ul>
      {sortFiles(files).map((file) =>
        file.is_dir ? (
          <Folders key={file.path} path={file.path} {...tree} />
        ) : (
          <li key={file.path}>
            <button
              type="button"
              className={styles.node}
              aria-current={choice?.path === file.path && choice.owner.id === owner.id ? "true" : undefined}
              onClick={() => onOpen({ owner, path: file.path })}
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

function Folders({ path, ...tree }: TreeProps & { path: string }) {
  const inside = tree.choice?.owner.id === tree.owner.id && tree.choice.path.startsWith(`${path}/`);
  return <Branch {...tree} path={path} name={baseName(path)} title={path} startOpen={inside} />;
}

/** A logged model as a folder of its own. */
function Model(tree: TreeProps) {
  const { data } = useQuery(loggedModelQuery(tree.owner.id));
  const name = data?.info.name || "model";
  const chosen = tree.choice?.owner.id === tree.owner.id;
  return <Branch {...tree} path="" name={name} title={`${name} (${tree.owner.id})`} startOpen={chosen} model />;
}

interface BranchProps extends TreeProps {
  path: string;
  name: string;
  title: string;
  startOpen: boolean;
  model?: boolean;
}

function Branch({ path, name, title, startOpen, model, ...tree }: BranchProps) {
  const [wish, setWish] = useState<boolean | null>(null);
  const open = wish ?? startOpen;
  const query = useQuery({ ...filesQuery(tree.owner, path), enabled: open });
  const Icon = model ? Box : open ? FolderOpen : Folder;
  return (
    <li>
      <button type="button" className={styles.node} aria-expanded={open} onClick={() => setWish(!open)}>
        {open ? <ChevronDown size={14} aria-hidden="true" /> : <ChevronRight size={14} aria-hidden="true" />}
        <Icon size={14} strokeWidth={1.5} aria-hidden="true" />
        <span title={title}>{name}</span>
        {model && <small>{tree.owner.id.slice(0, 8)}</small>}
      </button>
      {open && query.error && <ErrorState compact error={query.error} retry={() => query.refetch()} />}
      {open && query.data && (
        <div className={styles.inside}>
          <Level {...tree} files={query.data} />
          {query.data.length === 0 && <p className={styles.nothing}>Empty folder</p>}
        </div>
      )}
    </li>
  );
}
