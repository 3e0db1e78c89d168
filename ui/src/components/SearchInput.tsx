/** A search field with a glass and a way to empty it. `/` focuses the one marked as the page's filter. */

import { Search, X } from "lucide-react";
import styles from "./SearchInput.module.css";

interface SearchInputProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  placeholder?: string;
  /** The page's main filter: `/` goes here. */
  main?: boolean;
}

export function SearchInput({ label, value, onChange, placeholder = label, main }: SearchInputProps) {
  return (
    <div className={styles.box}>
      <Search size={14} strokeWidth={1.5} aria-hidden="true" />
      <input
        type="text"
        aria-label={label}
        placeholder={placeholder}
        value={value}
        spellCheck={false}
        data-main-filter={main ? "" : undefined}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          if (value) onChange("");
          else event.currentTarget.blur();
        }}
      />
      {value && (
        <button type="button" aria-label="Clear" onClick={() => onChange("")}>
          <X size={14} strokeWidth={1.5} />
        </button>
      )}
    </div>
  );
}

/** Puts the cursor into the page's main filter. */
export function focusMainFilter(): void {
  document.querySelector<HTMLElement>("[data-main-filter]")?.focus();
}
