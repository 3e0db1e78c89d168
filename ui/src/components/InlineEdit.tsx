/** A name that is changed where it stands. */

import { Pencil } from "lucide-react";
import { useRef, useState } from "react";
import { IconButton } from "./Button";
import styles from "./InlineEdit.module.css";

interface InlineEditProps {
  /** What it is: "run name". */
  label: string;
  value: string;
  /** Answers whether it was kept. */
  onSave: (value: string) => Promise<boolean>;
}

/** Enter or leaving keeps, Escape does not; an empty name is no name and changes nothing. */
export function InlineEdit({ label, value, onSave }: InlineEditProps) {
  const [draft, setDraft] = useState<string | null>(null);
  const busy = useRef(false);
  if (draft === null) {
    return (
      <span className={styles.shown}>
        {value}
        <IconButton label={`Change ${label}`} data-edit-name="" onClick={() => setDraft(value)}>
          <Pencil size={13} strokeWidth={1.5} />
        </IconButton>
      </span>
    );
  }
  const save = async () => {
    if (busy.current) return;
    busy.current = true;
    const wanted = draft.trim();
    if (!wanted || wanted === value || (await onSave(wanted))) setDraft(null);
    busy.current = false;
  };
  return (
    <input
      className={styles.field}
      aria-label={label}
      // biome-ignore lint/a11y/noAutofocus: it was asked for by a click on the pencil
      autoFocus
      value={draft}
      size={Math.max(16, draft.length + 2)}
      onFocus={(event) => event.target.select()}
      onChange={(event) => setDraft(event.target.value)}
      onBlur={save}
      onKeyDown={(event) => {
        if (event.key === "Enter") save();
        if (event.key === "Escape") setDraft(null);
      }}
    />
  );
}

/** Begins to edit the page's name, as its pencil does. */
export function editName(): void {
  document.querySelector<HTMLElement>("[data-edit-name]")?.click();
}
