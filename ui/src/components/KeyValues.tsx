/** Names and values, searchable and copied whole: params, tags. */

import { Pencil, Plus, X } from "lucide-react";
import { useMemo, useState } from "react";
import { plural } from "@/lib/format";
import { Button, IconButton } from "./Button";
import styles from "./KeyValues.module.css";
import { Card } from "./Page";
import { SearchInput } from "./SearchInput";
import { CopyButton } from "./Value";

export interface Pair {
  key: string;
  value: string;
  /** Small print below the value. */
  note?: string;
}

/** How pairs are changed; each answers whether it went well. */
export interface PairEdit {
  set: (key: string, value: string) => Promise<boolean>;
  remove: (key: string) => Promise<boolean>;
}

interface KeyValuesProps {
  title: string;
  /** What one pair is called: "param", "tag". */
  noun: string;
  pairs: readonly Pair[];
  empty: React.ReactNode;
  /** Shows a search field from this many pairs on. */
  searchFrom?: number;
  edit?: PairEdit;
}

/** A box with a table of names and values. */
export function KeyValues({ title, noun, pairs, empty, searchFrom = 8, edit }: KeyValuesProps) {
  const [search, setSearch] = useState("");
  // The key that is edited; "" = a new one.
  const [open, setOpen] = useState<string | null>(null);
  const sorted = useMemo(() => [...pairs].sort((left, right) => left.key.localeCompare(right.key)), [pairs]);
  const wanted = search.toLowerCase();
  const shown = sorted.filter((pair) => `${pair.key}\n${pair.value}`.toLowerCase().includes(wanted));
  const json = () => JSON.stringify(Object.fromEntries(sorted.map((pair) => [pair.key, pair.value])), null, 2);
  return (
    <Card
      flush
      title={pairs.length ? `${title} (${pairs.length})` : title}
      tools={
        <>
          {edit && open === null && (
            <IconButton label={`Add ${noun}`} onClick={() => setOpen("")}>
              <Plus size={14} strokeWidth={1.5} />
            </IconButton>
          )}
          {pairs.length > 0 && <CopyButton text={json} label={`Copy ${title.toLowerCase()} as JSON`} />}
        </>
      }
    >
      {pairs.length >= searchFrom && (
        <div className={styles.search}>
          <SearchInput label={`Search ${title.toLowerCase()}`} value={search} onChange={setSearch} />
        </div>
      )}
      {edit && open === "" && <EditPair noun={noun} edit={edit} onClose={() => setOpen(null)} />}
      {pairs.length === 0 && open !== "" && <p className={styles.empty}>{empty}</p>}
      {pairs.length > 0 && shown.length === 0 && (
        <p className={styles.empty}>The search hides all {plural(pairs.length, noun)}.</p>
      )}
      {shown.length > 0 && (
        <table className={styles.table}>
          <tbody>
            {shown.map((pair) =>
              edit && open === pair.key ? (
                <tr key={pair.key}>
                  <td colSpan={3}>
                    <EditPair noun={noun} edit={edit} pair={pair} onClose={() => setOpen(null)} />
                  </td>
                </tr>
              ) : (
                <tr key={pair.key}>
                  <th scope="row" title={pair.key}>
                    {pair.key}
                  </th>
                  <td>
                    <span className={styles.value}>{pair.value}</span>
                    {pair.note && <span className={styles.note}>{pair.note}</span>}
                  </td>
                  <td className={styles.copy} data-edit={Boolean(edit)}>
                    <CopyButton text={pair.value} label={`Copy ${pair.key}`} />
                    {edit && (
                      <>
                        <IconButton label={`Change ${pair.key}`} onClick={() => setOpen(pair.key)}>
                          <Pencil size={13} strokeWidth={1.5} />
                        </IconButton>
                        <IconButton label={`Remove ${pair.key}`} onClick={() => edit.remove(pair.key)}>
                          <X size={14} strokeWidth={1.5} />
                        </IconButton>
                      </>
                    )}
                  </td>
                </tr>
              ),
            )}
          </tbody>
        </table>
      )}
    </Card>
  );
}

interface EditPairProps {
  noun: string;
  edit: PairEdit;
  /** Absent for a new one. */
  pair?: Pair;
  onClose: () => void;
}

function EditPair({ noun, edit, pair, onClose }: EditPairProps) {
  const [key, setKey] = useState(pair?.key ?? "");
  const [value, setValue] = useState(pair?.value ?? "");
  const save = async (event: React.FormEvent) => {
    event.preventDefault();
    if (key.trim() && (await edit.set(key.trim(), value))) onClose();
  };
  return (
    <form className={styles.form} onSubmit={save} onKeyDown={(event) => event.key === "Escape" && onClose()}>
      <input
        aria-label={`Key of the ${noun}`}
        placeholder="key"
        // biome-ignore lint/a11y/noAutofocus: it was asked for by a click
        autoFocus={!pair}
        readOnly={Boolean(pair)}
        value={key}
        onChange={(event) => setKey(event.target.value)}
      />
      <input
        aria-label={`Value of the ${noun}`}
        placeholder="value"
        // biome-ignore lint/a11y/noAutofocus: the same
        autoFocus={Boolean(pair)}
        value={value}
        onChange={(event) => setValue(event.target.value)}
      />
      <Button small primary type="submit" disabled={!key.trim()}>
        Save
      </Button>
      <Button small onClick={onClose}>
        Cancel
      </Button>
    </form>
  );
}
