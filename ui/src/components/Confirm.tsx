/** A question before something that cannot be taken back. */

import { AlertDialog } from "@base-ui/react/alert-dialog";
import type { ReactNode } from "react";
import { Button } from "./Button";
import styles from "./Dialog.module.css";

interface ConfirmProps {
  title: string;
  /** The word on the button that does it. */
  act: string;
  busy?: boolean;
  danger?: boolean;
  disabled?: boolean;
  onConfirm: () => void;
  onClose: () => void;
  children: ReactNode;
}

export function Confirm({ title, act, busy, danger, disabled, onConfirm, onClose, children }: ConfirmProps) {
  return (
    <AlertDialog.Root open onOpenChange={(open) => !open && !busy && onClose()}>
      <AlertDialog.Portal>
        <AlertDialog.Backdrop className={styles.backdrop} />
        <AlertDialog.Popup className={styles.popup}>
          <AlertDialog.Title className={styles.title}>{title}</AlertDialog.Title>
          <div className={styles.body}>{children}</div>
          <footer className={styles.foot}>
            <Button disabled={busy} onClick={onClose}>
              Cancel
            </Button>
            <Button
              primary
              className={danger ? styles.danger : undefined}
              disabled={busy || disabled}
              onClick={onConfirm}
            >
              {busy ? "Working…" : act}
            </Button>
          </footer>
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}
