/** What resuming a run has changed: points that were logged again, params that have other values now. */

import type { RunOverview } from "@/api/types";
import type { Pair } from "@/components/KeyValues";
import { Card } from "@/components/Page";
import { formatCount, formatTime, plural, toNumber } from "@/lib/format";
import styles from "./RunPage.module.css";

/** The params of a run; those that were changed say what they were. */
export function paramPairs({ run, changes }: RunOverview): Pair[] {
  const former = new Map<string, string[]>();
  for (const { key, value, until } of changes?.params ?? []) {
    former.set(key, [...(former.get(key) ?? []), `${value} until ${formatTime(toNumber(until) ?? 0)}`]);
  }
  return (run.data?.params ?? []).map((pair) => {
    const values = former.get(pair.key);
    return values ? { ...pair, note: `changed: was ${values.join(", then ")}` } : pair;
  });
}

/** Nothing for a run that was never resumed. */
export function Resumes({ overview }: { overview: RunOverview }) {
  const resumes = overview.changes?.resumes ?? [];
  if (resumes.length === 0) return null;
  return (
    <Card flush title={`Resumed (${resumes.length})`}>
      <ul className={styles.rows}>
        {resumes.map((resume) => (
          <li key={resume.generation}>
            <span>{formatTime(toNumber(resume.time) ?? 0)}</span>
            <span className={styles.push}>
              {resume.points
                ? `${formatCount(resume.points)} points of ${plural(resume.metrics ?? 0, "metric")} replaced, from step ${formatCount(toNumber(resume.from_step) ?? 0)}`
                : "nothing replaced"}
            </span>
          </li>
        ))}
      </ul>
    </Card>
  );
}
