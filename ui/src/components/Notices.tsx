/** Notices in the corner: what was done, with a way back. */

import { X } from "lucide-react";
import { dismiss, holdNotices, useNotices } from "@/lib/notices";
import { Button, IconButton } from "./Button";
import styles from "./Notices.module.css";

export function Notices() {
  const notices = useNotices();
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: pointing at a notice only keeps it from going
    <div
      className={styles.notices}
      onPointerEnter={() => holdNotices(true)}
      onPointerLeave={() => holdNotices(false)}
      onFocus={() => holdNotices(true)}
      onBlur={() => holdNotices(false)}
      aria-live="polite"
    >
      {notices.map((notice) => (
        <div
          key={notice.id}
          className={styles.notice}
          data-failed={notice.failed}
          role={notice.failed ? "alert" : undefined}
        >
          <p>{notice.words}</p>
          {notice.undo && (
            <Button
              small
              onClick={() => {
                notice.undo?.();
                dismiss(notice.id);
              }}
            >
              Undo
            </Button>
          )}
          <IconButton label="Close notice" onClick={() => dismiss(notice.id)}>
            <X size={14} strokeWidth={1.5} />
          </IconButton>
        </div>
      ))}
    </div>
  );
}
