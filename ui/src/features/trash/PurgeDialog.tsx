/** The question before deleting for good: what goes, how many bytes, and what stays. */

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { type Doomed, outlook, purge, useChange } from "@/api/changes";
import { measureFiles } from "@/api/queries";
import type { TrashItem } from "@/api/types";
import { Confirm } from "@/components/Confirm";
import { formatBytes, plural } from "@/lib/format";

interface PurgeDialogProps {
  /** Empty = everything in the trash. */
  items: readonly TrashItem[];
  onDone: () => void;
  onClose: () => void;
}

export default function PurgeDialog({ items, onDone, onClose }: PurgeDialogProps) {
  const [busy, setBusy] = useState(false);
  const change = useChange();
  const of = (kind: TrashItem["kind"]) => items.filter((item) => item.kind === kind).map((item) => item.id);
  const doomed: Doomed = items.length
    ? { experiment_ids: of("experiment"), run_ids: of("run"), model_ids: of("logged_model") }
    : {};
  const places = items.flatMap((item) => (item.artifact_uri && !item.pinned_by?.length ? [item.artifact_uri] : []));
  const { data: would } = useQuery({ queryKey: ["purge", doomed], queryFn: () => outlook(doomed), staleTime: 0 });
  const { data: size } = useQuery({
    queryKey: ["measure", places],
    queryFn: () => measureFiles(places),
    enabled: places.length > 0,
  });
  const parts = [
    would?.experiments && plural(would.experiments, "experiment"),
    would?.runs && plural(would.runs, "run"),
    would?.logged_models && plural(would.logged_models, "logged model"),
  ].filter(Boolean);
  const confirm = async () => {
    setBusy(true);
    const done = await change(() => purge(doomed), {
      words: ({ items: count, size: freed, kept }) =>
        [`Deleted for good: ${count}, ${formatBytes(freed)} of files freed.`, ...kept].join(" "),
    });
    setBusy(false);
    if (done) onDone();
  };
  return (
    <Confirm
      danger
      title="Delete for good?"
      act="Delete for good"
      busy={busy}
      disabled={!would || parts.length === 0}
      onConfirm={confirm}
      onClose={onClose}
    >
      {!would && <p>Looking at what would go…</p>}
      {would && parts.length === 0 && <p>Nothing of this can be deleted.</p>}
      {parts.length > 0 && (
        <p>
          <strong>{parts.join(", ")}</strong> with params, metrics, tags and files
          {size && ` (${formatBytes(size.size)} in ${plural(size.files, "file")})`}. There is no way back.
        </p>
      )}
      {would?.kept?.map((kept) => (
        <p key={kept.id}>{kept.reason}</p>
      ))}
    </Confirm>
  );
}
