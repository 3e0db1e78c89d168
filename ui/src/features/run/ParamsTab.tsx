/** All params and tags of a run, searchable. */

import { useChange } from "@/api/changes";
import type { RunOverview } from "@/api/types";
import { KeyValues } from "@/components/KeyValues";
import { paramPairs } from "./Resumes";
import styles from "./RunPage.module.css";
import { tagEdit } from "./tagEdit";

export function ParamsTab({ overview }: { overview: RunOverview }) {
  const change = useChange();
  const { tags = [] } = overview.run.data ?? {};
  return (
    <div className={styles.two}>
      <KeyValues
        title="Params"
        noun="param"
        pairs={paramPairs(overview)}
        empty={
          <>
            Log one: <code>runlore.log_param("lr", 0.01)</code>
          </>
        }
      />
      <KeyValues
        title="Tags"
        noun="tag"
        pairs={tags}
        empty={
          <>
            Set one: <code>runlore.set_tag("team", "vision")</code>
          </>
        }
        edit={tagEdit(overview.run, change)}
      />
    </div>
  );
}
