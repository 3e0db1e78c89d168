/** Editing a run's tags. */

import { deleteRunTag, setRunTag, type useChange } from "@/api/changes";
import type { Run } from "@/api/types";
import type { PairEdit } from "@/components/KeyValues";

/** What a table of tags needs to change them; nothing where the run is in the trash. */
export function tagEdit({ info, data }: Run, change: ReturnType<typeof useChange>): PairEdit | undefined {
  if (info.lifecycle_stage === "deleted") return undefined;
  const current = (key: string) => data?.tags?.find((tag) => tag.key === key)?.value;
  return {
    set: (key, value) => change(() => setRunTag(info.run_id, key, value)),
    remove: (key) => {
      const old = current(key);
      return change(() => deleteRunTag(info.run_id, key), {
        words: `Tag ${key} removed.`,
        undo: old === undefined ? undefined : () => setRunTag(info.run_id, key, old),
      });
    },
  };
}
