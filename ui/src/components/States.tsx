/** What a page shows when it has nothing, waits, or failed: the cause, and the next step. */

import { CircleAlert } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { ApiError } from "@/api/client";
import { Button } from "./Button";
import styles from "./States.module.css";
import { copyText } from "./Value";

/** Nothing here: why, and what to do about it. */
export function EmptyState({ title, children, icon }: { title: string; children?: ReactNode; icon?: ReactNode }) {
  return (
    <div className={styles.empty}>
      {icon && <div className={styles.icon}>{icon}</div>}
      <h2 className={styles.title}>{title}</h2>
      {children}
    </div>
  );
}

/** What failed, in the server's words, with retry and the details to hand on. */
export function ErrorState({ error, retry, compact }: { error: unknown; retry?: () => void; compact?: boolean }) {
  const message = error instanceof Error ? error.message : String(error);
  const details = error instanceof ApiError ? error.details : message;
  return (
    <div className={compact ? styles.errorLine : styles.error} role="alert">
      <CircleAlert size={16} strokeWidth={1.5} aria-hidden="true" />
      <p>{message}</p>
      {retry && (
        <Button small onClick={retry}>
          Try again
        </Button>
      )}
      <Button small onClick={() => copyText(details)}>
        Copy details
      </Button>
    </div>
  );
}

/** Grey bars, but only when the answer takes longer than a blink. */
export function Skeleton({ rows = 6, label = "Loading" }: { rows?: number; label?: string }) {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 150);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div className={styles.skeleton} role="status">
      <span className="visually-hidden">{label}</span>
      {late && Array.from({ length: rows }, (_, index) => <div key={String(index)} className={styles.bar} />)}
    </div>
  );
}

/** A thin line while newer data is on its way; what is shown stays readable. */
export function ProgressLine({ active }: { active: boolean }) {
  return <div className={styles.progress} data-active={active} aria-hidden="true" />;
}
