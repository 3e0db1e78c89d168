/** Names and values, searchable and copied whole: params, tags. */

import { useMemo, useState } from "react";
import { plural } from "@/lib/format";
import styles from "./KeyValues.module.css";
import { Card } from "./Page";
import { SearchInput } from "./SearchInput";
import { CopyButton } from "./Value";

export interface Pair {
  key: string;
  value: string;
}

interface KeyValuesProps {
  title: string;
  /** What one pair is called: "param", "tag". */
  noun: string;
  pairs: readonly Pair[];
  empty: React.ReactNode;
  /** Shows a search field from this many pairs on. */
  searchFrom?: number;
}

/** A box with a table of names and values. */
export function KeyValues({ title, noun, pairs, empty, searchFrom = 8 }: KeyValuesProps) {
  const [search, setSearch] = useState("");
  const sorted = useMemo(() => [...pairs].sort((left, right) => left.key.localeCompare(right.key)), [pairs]);
  const wanted = search.toLowerCase();
  const shown = sorted.filter((pair) => `${pair.key}\n${pair.value}`.toLowerCase().includes(wanted));
  const json = () => JSON.stringify(Object.fromEntries(sorted.map((pair) => [pair.key, pair.value])), null, 2);
  return (
    <Card
      flush
      title={pairs.length ? `${title} (${pairs.length})` : title}
      tools={pairs.length > 0 && <CopyButton text={json} label={`Copy ${title.toLowerCase()} as JSON`} />}
    >
      {pairs.length >= searchFrom && (
        <div className={styles.search}>
          <SearchInput label={`Search ${title.toLowerCase()}`} value={search} onChange={setSearch} />
        </div>
      )}
      {pairs.length === 0 && <p className={styles.empty}>{empty}</p>}
      {pairs.length > 0 && shown.length === 0 && (
        <p className={styles.empty}>The search hides all {plural(pairs.length, noun)}.</p>
      )}
      {shown.length > 0 && (
        <table className={styles.table}>
          <tbody>
            {shown.map((pair) => (
              <tr key={pair.key}>
                <th scope="row" title={pair.key}>
                  {pair.key}
                </th>
                <td>
                  <span className={styles.value}>{pair.value}</span>
                </td>
                <td className={styles.copy}>
                  <CopyButton text={pair.value} label={`Copy ${pair.key}`} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}
