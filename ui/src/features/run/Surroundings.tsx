/** Where a run of Runlore's client came from, as its snapshot says: command, code, machine, packages. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import type { FileOwner } from "@/api/client";
import { fileQuery, filesQuery } from "@/api/queries";
import type { Run } from "@/api/types";
import { Card } from "@/components/Page";
import { Chip, CopyButton } from "@/components/Value";
import { formatBytes, plural } from "@/lib/format";
import styles from "./RunPage.module.css";
import { readSnapshot, type Snapshot } from "./snapshot";

const FOLDER = "runlore/snapshot";
const MOST = 2_000_000;

/** Nothing where the run has no snapshot. */
export function Surroundings({ run }: { run: Run }) {
  const owner = useMemo<FileOwner>(() => ({ kind: "run", id: run.info.run_id }), [run.info.run_id]);
  // Asked for by its folder: most runs of other clients have none.
  const listed = useQuery({ ...filesQuery(owner, FOLDER), retry: false, staleTime: 30_000 });
  const paths = new Set(listed.data?.map((file) => file.path));
  const file = useQuery({
    ...fileQuery(owner, `${FOLDER}/snapshot.json`, MOST),
    enabled: paths.has(`${FOLDER}/snapshot.json`),
  });
  const snapshot = useMemo(() => file.data && readSnapshot(file.data.bytes), [file.data]);
  if (!snapshot) return null;
  return <Facts snapshot={snapshot} run={run} patch={paths.has(`${FOLDER}/changes.patch`)} />;
}

function Facts({ snapshot, run, patch }: { snapshot: Snapshot; run: Run; patch: boolean }) {
  const { command, folder, git, python, host, packages } = snapshot;
  return (
    <Card title="Code and environment">
      <dl className={styles.facts}>
        {command && <Fact name="Command" text={command} />}
        {folder && <Fact name="Directory" text={folder} />}
        {git && (
          <>
            <dt>Changes</dt>
            <dd>
              <Chip tone={git.dirty ? "warn" : "ok"}>{git.dirty ? "uncommitted" : "none"}</Chip>
              {patch && (
                <Link
                  to="/e/$exp/r/$run/$tab"
                  params={{ exp: run.info.experiment_id ?? "0", run: run.info.run_id, tab: "artifacts" }}
                  search={{ path: `${FOLDER}/changes.patch` }}
                >
                  changes.patch
                </Link>
              )}
            </dd>
          </>
        )}
        {python && <Fact name="Python" text={python} />}
        {host.name && <Fact name="Host" text={host.name} />}
        {host.system && <Fact name="System" text={host.system} />}
        {host.cpu && (
          <Fact name="Machine" text={`${host.cpu}, ${plural(host.cpus, "core")}, ${formatBytes(host.memory)}`} />
        )}
      </dl>
      {packages.length > 0 && (
        <details className={styles.more}>
          <summary>{plural(packages.length, "package")}</summary>
          <ul>
            {packages.map(([name, version]) => (
              <li key={name}>
                <code>
                  {name} <span>{version}</span>
                </code>
              </li>
            ))}
          </ul>
        </details>
      )}
    </Card>
  );
}

function Fact({ name, text }: { name: string; text: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>
        <code title={text}>{text}</code>
        <CopyButton text={text} label={`Copy ${name.toLowerCase()}`} />
      </dd>
    </>
  );
}
