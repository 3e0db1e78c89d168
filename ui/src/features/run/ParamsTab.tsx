/** All params and tags of a run, searchable. */

import type { RunOverview } from "@/api/types";
import { KeyValues } from "@/components/KeyValues";
import styles from "./RunPage.module.css";

export function ParamsTab({ overview }: { overview: RunOverview }) {
  const { params = [], tags = [] } = overview.run.data ?? {};
  return (
    <div className={styles.two}>
      <KeyValues
        title="Params"
        noun="param"
        pairs={params}
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
      />
    </div>
  );
}
