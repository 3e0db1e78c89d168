/** The keys that work on the page at hand. */

import { Dialog } from "@base-ui/react/dialog";
import { X } from "lucide-react";
import { useBindings } from "@/lib/keys";
import styles from "./KeyHelp.module.css";

const SIGNS: Record<string, string> = { ArrowDown: "↓", ArrowUp: "↑", "Shift+D": "⇧ D" };

export default function KeyHelp({ onClose }: { onClose: () => void }) {
  const bindings = useBindings();
  return (
    <Dialog.Root open onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className={styles.backdrop} />
        <Dialog.Popup className={styles.popup}>
          <header className={styles.head}>
            <Dialog.Title className={styles.title}>Keyboard</Dialog.Title>
            <Dialog.Close className={styles.close} aria-label="Close">
              <X size={16} strokeWidth={1.5} />
            </Dialog.Close>
          </header>
          <dl className={styles.keys}>
            {bindings.map((binding) => (
              <div key={`${binding.keys} ${binding.does}`}>
                <dt>{binding.does}</dt>
                <dd>
                  {binding.keys.split(", ").map((keys) => (
                    <kbd key={keys}>{SIGNS[keys] ?? keys}</kbd>
                  ))}
                </dd>
              </div>
            ))}
            <div>
              <dt>In a chart: move the cursor, zoom, reset</dt>
              <dd>
                <kbd>←</kbd>
                <kbd>→</kbd>
                <kbd>+</kbd>
                <kbd>−</kbd>
                <kbd>0</kbd>
              </dd>
            </div>
          </dl>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
