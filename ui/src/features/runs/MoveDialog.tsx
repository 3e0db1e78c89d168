/** Where selected runs should go. */

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { type Chosen, moveRuns, useChange } from "@/api/changes";
import { experimentsQuery } from "@/api/queries";
import { Confirm } from "@/components/Confirm";
import { plural } from "@/lib/format";

interface MoveDialogProps {
  chosen: Chosen;
  count: number;
  onDone: () => void;
  onClose: () => void;
}

export default function MoveDialog({ chosen, count, onDone, onClose }: MoveDialogProps) {
  const [target, setTarget] = useState("");
  const [busy, setBusy] = useState(false);
  const { data } = useQuery(experimentsQuery);
  const change = useChange();
  const others = (data ?? []).filter((row) => row.experiment_id !== chosen.experimentId);
  const name = others.find((row) => row.experiment_id === target)?.name;
  const move = async () => {
    setBusy(true);
    const moved = await change(() => moveRuns(chosen, target), {
      words: (ids) => `${plural(ids.length, "run")} moved to ${name}.`,
      undo: (ids) => moveRuns({ experimentId: target, runIds: ids }, chosen.experimentId),
    });
    setBusy(false);
    if (moved) onDone();
  };
  return (
    <Confirm
      title={`Move ${plural(count, "run")}`}
      act="Move"
      busy={busy}
      disabled={!target}
      onConfirm={move}
      onClose={onClose}
    >
      <p>Nested runs and logged models come along; files stay where they are.</p>
      <label>
        To experiment
        <select value={target} onChange={(event) => setTarget(event.target.value)}>
          <option value="">Choose…</option>
          {others.map((row) => (
            <option key={row.experiment_id} value={row.experiment_id}>
              {row.name}
            </option>
          ))}
        </select>
      </label>
      {data && others.length === 0 && <p>There is no other experiment yet.</p>}
    </Confirm>
  );
}
