/**
 * The filter in words: `metrics.loss < 0.3 AND params.optimizer = 'adam'`. Completes names from the column catalogue, applies
 * on Enter, and underlines what the server did not understand while the last result stays on the page.
 */

import { Filter, X } from "lucide-react";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "react";
import { applySuggestion, completionAt, readFilterError, type Suggestion, suggestions } from "@/lib/complete";
import styles from "./FilterBar.module.css";

interface FilterBarProps {
  value: string;
  onApply: (value: string) => void;
  catalogue: readonly { name: string; kind: string; runs: number }[];
  /** What the server said about `value`. */
  error?: string | null;
}

export function FilterBar({ value, onApply, catalogue, error }: FilterBarProps) {
  const [text, setText] = useState(value);
  const [cursor, setCursor] = useState(0);
  const [open, setOpen] = useState(false);
  const [choice, setChoice] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  const mirror = useRef<HTMLDivElement>(null);
  const list = useId();
  useEffect(() => setText(value), [value]);
  // Before the next key can arrive: whoever types on at once must not find the cursor elsewhere.
  const moveTo = useRef<number | null>(null);
  useLayoutEffect(() => {
    if (moveTo.current === null) return;
    input.current?.setSelectionRange(moveTo.current, moveTo.current);
    moveTo.current = null;
  });

  const at = completionAt(text, cursor);
  const offers = open ? suggestions(at, catalogue) : [];
  const picked = Math.min(choice, offers.length - 1);

  const apply = (next: string) => {
    setOpen(false);
    onApply(next.trim());
  };
  const take = (suggestion: Suggestion) => {
    const next = applySuggestion(text, at, suggestion);
    setText(next.text);
    setCursor(next.cursor);
    setChoice(-1);
    moveTo.current = next.cursor;
  };
  const onKeyDown = (event: React.KeyboardEvent<HTMLInputElement>) => {
    const offer = offers[picked];
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      const step = event.key === "ArrowDown" ? 1 : -1;
      setChoice(
        offers.length ? (picked + step + offers.length + (picked < 0 && step < 0 ? 1 : 0)) % offers.length : -1,
      );
    } else if (event.key === "Tab" && !event.shiftKey && open && offers.length && at.token) {
      event.preventDefault();
      take(offer ?? offers[0]!);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (offer) take(offer);
      else apply(text);
    } else if (event.key === "Escape") {
      if (open && offers.length) setOpen(false);
      else if (text !== value) setText(value);
      else input.current?.blur();
    }
  };
  const follow = () => {
    setCursor(input.current?.selectionStart ?? 0);
    if (mirror.current && input.current) mirror.current.scrollLeft = input.current.scrollLeft;
  };

  const problem = error ? readFilterError(error, text) : null;
  const wrong = text.trim() === value ? problem?.span : null;
  return (
    <div className={styles.bar}>
      <div className={styles.field} data-error={Boolean(error)}>
        <Filter size={14} strokeWidth={1.5} aria-hidden="true" />
        <div className={styles.stack}>
          <div className={styles.mirror} ref={mirror} aria-hidden="true">
            {wrong && (
              <>
                {text.slice(0, wrong[0])}
                <mark>{text.slice(wrong[0], wrong[1])}</mark>
              </>
            )}
          </div>
          <input
            ref={input}
            role="combobox"
            aria-label="Filter runs"
            aria-expanded={offers.length > 0}
            aria-controls={list}
            aria-autocomplete="list"
            aria-activedescendant={picked >= 0 ? `${list}-${picked}` : undefined}
            aria-invalid={Boolean(error)}
            aria-describedby={error ? `${list}-error` : undefined}
            placeholder="Filter: metrics.loss < 0.3 AND params.optimizer = 'adam'"
            autoComplete="off"
            spellCheck={false}
            data-main-filter=""
            value={text}
            onChange={(event) => {
              setText(event.target.value);
              setCursor(event.target.selectionStart ?? event.target.value.length);
              setOpen(true);
              setChoice(-1);
            }}
            onKeyDown={onKeyDown}
            onSelect={follow}
            onScroll={follow}
            onFocus={() => setOpen(true)}
            onBlur={() => {
              setOpen(false);
              setChoice(-1);
            }}
          />
        </div>
        {text.trim() !== value && <kbd className={styles.hint}>Enter to apply</kbd>}
        {text && (
          <button
            type="button"
            className={styles.clear}
            aria-label="Clear filter"
            onClick={() => {
              setText("");
              apply("");
            }}
          >
            <X size={14} strokeWidth={1.5} />
          </button>
        )}
      </div>
      <div role="listbox" id={list} aria-label="Suggestions" className={styles.list} hidden={offers.length === 0}>
        {offers.map((offer, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys belong to the text field (Up, Down, Enter, Tab)
          <div
            key={offer.text}
            id={`${list}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === picked}
            className={styles.option}
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => take(offer)}
          >
            <code>{offer.text}</code>
            <span>{offer.hint}</span>
          </div>
        ))}
      </div>
      {error && (
        <p className={styles.error} id={`${list}-error`} role="alert">
          {problem?.words}
        </p>
      )}
    </div>
  );
}
