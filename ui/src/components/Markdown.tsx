/** Markdown that people wrote: read, and edited in place. */

import { Pencil } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { Button } from "./Button";
import styles from "./Markdown.module.css";
import { Card } from "./Page";

const View = lazy(() => import("./MarkdownView"));

/** Text in Markdown; as it was typed until the means to show it are here. */
export function Markdown({ text }: { text: string }) {
  return (
    <Suspense fallback={<p className={styles.plain}>{text}</p>}>
      <View text={text} />
    </Suspense>
  );
}

interface NoteCardProps {
  title: string;
  text: string;
  /** Answers whether it was kept. */
  onSave: (text: string) => Promise<boolean>;
}

/** A note: empty ones say how to begin. Ctrl+Enter keeps, Escape leaves. */
export function NoteCard({ title, text, onSave }: NoteCardProps) {
  const [draft, setDraft] = useState<string | null>(null);
  const save = async () => {
    if (draft === null) return;
    if (draft === text || (await onSave(draft))) setDraft(null);
  };
  const name = title.toLowerCase();
  return (
    <Card
      title={title}
      tools={
        draft === null && (
          <Button small onClick={() => setDraft(text)} aria-label={`Edit ${name}`} data-edit-note="">
            <Pencil size={12} strokeWidth={1.5} aria-hidden="true" />
            {text ? "Edit" : "Write"}
          </Button>
        )
      }
    >
      {draft === null && text && <Markdown text={text} />}
      {draft === null && !text && <p className={styles.none}>Nothing written yet. Markdown works.</p>}
      {draft !== null && (
        <div className={styles.edit}>
          <textarea
            // biome-ignore lint/a11y/noAutofocus: it was asked for by a click on "Edit"
            autoFocus
            aria-label={title}
            rows={Math.max(6, Math.min(24, draft.split("\n").length + 1))}
            value={draft}
            onChange={(event) => setDraft(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save();
              if (event.key === "Escape") setDraft(null);
            }}
          />
          <div className={styles.foot}>
            <span>Markdown · Ctrl+Enter saves</span>
            <Button small onClick={() => setDraft(null)}>
              Cancel
            </Button>
            <Button small primary onClick={save}>
              Save
            </Button>
          </div>
          {draft.trim() && (
            <section aria-label="Preview" className={styles.preview}>
              <Markdown text={draft} />
            </section>
          )}
        </div>
      )}
    </Card>
  );
}

/** A note in one line; the whole of it, to read and to edit, when it is opened. */
export function NoteLine({ title, text, onSave }: NoteCardProps) {
  const [open, setOpen] = useState(false);
  return (
    <div className={styles.line}>
      <button
        type="button"
        className={styles.toggle}
        data-empty={!text}
        aria-expanded={open}
        title={open ? undefined : text}
        onClick={() => setOpen(!open)}
      >
        {text.split("\n")[0] || "Add a note"}
      </button>
      {open && (
        <div className={styles.opened}>
          <NoteCard title={title} text={text} onSave={onSave} />
        </div>
      )}
    </div>
  );
}
