/** The frame of a page: heading, tabs, tools, body. */

import type { ReactNode } from "react";
import { useEffect } from "react";
import styles from "./Page.module.css";

interface PageHeadProps {
  title: ReactNode;
  /** For the window's title; by default `title` where that is text. */
  name?: string;
  meta?: ReactNode;
  /** Between the heading and the tabs. */
  below?: ReactNode;
  tools?: ReactNode;
  tabs?: ReactNode;
}

/** The page's heading with what belongs beside it. */
export function PageHead({ title, name, meta, below, tools, tabs }: PageHeadProps) {
  const words = name ?? (typeof title === "string" ? title : "");
  useEffect(() => {
    document.title = words ? `${words} · Runlore` : "Runlore";
  }, [words]);
  return (
    <header className={styles.head} data-tabs={Boolean(tabs)}>
      <div className={styles.line}>
        <h1 className={styles.title}>{title}</h1>
        {meta && <div className={styles.meta}>{meta}</div>}
        {tools && <div className={styles.tools}>{tools}</div>}
      </div>
      {below}
      {tabs && <nav className={styles.tabs}>{tabs}</nav>}
    </header>
  );
}

/** A page whose body scrolls under its head. */
export function Page({ head, children, fixed }: { head: ReactNode; children: ReactNode; fixed?: boolean }) {
  return (
    <div className={styles.page}>
      {head}
      <div className={fixed ? styles.fixed : styles.scroll}>{children}</div>
    </div>
  );
}

/** The class of a tab; give it to a router link (`aria-current` marks the open one). */
export const tabClass = styles.tab;

/** A titled box. */
export function Card({
  title,
  tools,
  children,
  flush,
}: {
  title?: ReactNode;
  tools?: ReactNode;
  children: ReactNode;
  flush?: boolean;
}) {
  return (
    <section className={styles.card}>
      {title && (
        <header className={styles.cardHead}>
          <h2>{title}</h2>
          {tools && <div className={styles.tools}>{tools}</div>}
        </header>
      )}
      <div className={flush ? undefined : styles.cardBody}>{children}</div>
    </section>
  );
}
