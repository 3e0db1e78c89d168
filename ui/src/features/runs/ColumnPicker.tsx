/** Choosing columns from the catalogue: search, tick, and for metrics which value of the run is shown. */

import { useQuery } from "@tanstack/react-query";
import { Columns3 } from "lucide-react";
import { useState } from "react";
import { columnsQuery } from "@/api/queries";
import { Button } from "@/components/Button";
import { Popover } from "@/components/Popover";
import { SearchInput } from "@/components/SearchInput";
import { AGGREGATES, columnName, parseColumn } from "@/lib/columns";
import { formatCount, plural } from "@/lib/format";
import styles from "./ColumnPicker.module.css";
import { ATTRIBUTES } from "./columns";

interface ColumnPickerProps {
  experimentId: string;
  columns: readonly string[];
  custom: boolean;
  onChange: (columns: string[] | undefined) => void;
}

export function ColumnPicker({ experimentId, columns, custom, onChange }: ColumnPickerProps) {
  return (
    <Popover
      title="Columns"
      trigger={
        <Button>
          <Columns3 size={14} strokeWidth={1.5} aria-hidden="true" />
          Columns
        </Button>
      }
    >
      <Picker experimentId={experimentId} columns={columns} custom={custom} onChange={onChange} />
    </Popover>
  );
}

const LIMIT = 200;
const TITLES: Record<string, string> = { metrics: "Metrics", params: "Params", tags: "Tags", attributes: "Attributes" };

function Picker({ experimentId, columns, custom, onChange }: ColumnPickerProps) {
  const [search, setSearch] = useState("");
  const query = useQuery(columnsQuery([experimentId], search, LIMIT));
  const found = (query.data?.columns ?? []).filter(
    (entry) => entry.kind !== "attributes" || parseColumn(entry.name).key in ATTRIBUTES,
  );
  const chosen = new Set(columns);
  const toggle = (name: string) => {
    onChange(chosen.has(name) ? columns.filter((column) => column !== name) : [...columns, name]);
  };
  const groups = ["metrics", "params", "tags", "attributes"].map((kind) => ({
    kind,
    entries: found.filter((entry) => entry.kind === kind),
  }));
  return (
    <>
      <SearchInput label="Search columns" value={search} onChange={setSearch} />
      <div className={styles.list}>
        {groups.map(
          ({ kind, entries }) =>
            entries.length > 0 && (
              <fieldset key={kind} className={styles.group}>
                <legend>{TITLES[kind]}</legend>
                {entries.map((entry) => {
                  const { key } = parseColumn(entry.name);
                  return (
                    <div key={entry.name} className={styles.entry}>
                      <label title={`${key}, in ${plural(entry.runs, "run")}`}>
                        <input type="checkbox" checked={chosen.has(entry.name)} onChange={() => toggle(entry.name)} />
                        <span>{kind === "attributes" ? ATTRIBUTES[key] : key}</span>
                      </label>
                      {kind === "metrics" && (
                        <span className={styles.aggregates}>
                          {AGGREGATES.filter((aggregate) => aggregate !== "last").map((aggregate) => {
                            const name = columnName("metrics", key, aggregate);
                            return (
                              <button
                                key={aggregate}
                                type="button"
                                aria-pressed={chosen.has(name)}
                                aria-label={`${aggregate} of ${key}`}
                                onClick={() => toggle(name)}
                              >
                                {aggregate}
                              </button>
                            );
                          })}
                        </span>
                      )}
                      <span className={styles.runs}>{formatCount(entry.runs)}</span>
                    </div>
                  );
                })}
              </fieldset>
            ),
        )}
        {query.data && found.length === 0 && (
          <p className={styles.none}>Nothing was logged whose name contains “{search}”.</p>
        )}
        {Boolean(query.data?.ranges_over) &&
          query.data!.ranges_over! < Math.max(...found.map((entry) => entry.runs), 0) && (
            <p className={styles.none}>
              Which params differ was judged by the newest {formatCount(query.data!.ranges_over!)} runs.
            </p>
          )}
        {query.data && query.data.total > LIMIT && (
          <p className={styles.none}>
            {formatCount(LIMIT)} of {formatCount(query.data.total)}: search to see others.
          </p>
        )}
      </div>
      <div className={styles.foot}>
        <Button small disabled={!custom} onClick={() => onChange(undefined)}>
          Default columns
        </Button>
        <Button small disabled={columns.length === 0} onClick={() => onChange([])}>
          None
        </Button>
      </div>
    </>
  );
}
