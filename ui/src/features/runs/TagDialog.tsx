/** One tag for all selected runs, set or taken away. */

import { useState } from "react";
import { type Chosen, tagRuns, useChange } from "@/api/changes";
import { Segments } from "@/components/Button";
import { Confirm } from "@/components/Confirm";
import { plural } from "@/lib/format";

interface TagDialogProps {
  chosen: Chosen;
  count: number;
  onClose: () => void;
}

const KINDS = [
  { value: "set", label: "Set" },
  { value: "remove", label: "Remove" },
] as const;

export default function TagDialog({ chosen, count, onClose }: TagDialogProps) {
  const [kind, setKind] = useState<"set" | "remove">("set");
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  const [busy, setBusy] = useState(false);
  const change = useChange();
  const apply = async () => {
    setBusy(true);
    const name = key.trim();
    const done = await change(() => tagRuns(chosen, name, kind === "set" ? value : null), {
      words: (ids) => `Tag ${name} ${kind === "set" ? "set on" : "removed from"} ${plural(ids.length, "run")}.`,
    });
    setBusy(false);
    if (done) onClose();
  };
  return (
    <Confirm
      title={`Tag ${plural(count, "run")}`}
      act={kind === "set" ? "Set tag" : "Remove tag"}
      busy={busy}
      disabled={!key.trim()}
      onConfirm={apply}
      onClose={onClose}
    >
      <Segments label="What to do" value={kind} options={KINDS} onChange={setKind} />
      <label>
        Key
        <input type="text" value={key} onChange={(event) => setKey(event.target.value)} />
      </label>
      {kind === "set" && (
        <label>
          Value
          <input type="text" value={value} onChange={(event) => setValue(event.target.value)} />
        </label>
      )}
    </Confirm>
  );
}
