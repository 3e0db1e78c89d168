/** What stands around every page: the rail, the breadcrumb, theme and key help. */

import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useParams, useRouterState } from "@tanstack/react-router";
import { Boxes, ChevronRight, FlaskConical, Keyboard, Monitor, Moon, Sun, Trash2 } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { useConnected } from "@/api/live";
import { experimentQuery, overviewQuery } from "@/api/queries";
import { IconButton } from "@/components/Button";
import { Notices } from "@/components/Notices";
import { focusMainFilter } from "@/components/SearchInput";
import { useKeys } from "@/lib/keys";
import { nextTheme, setTheme, useTheme } from "@/lib/theme";
import styles from "./Shell.module.css";

const KeyHelp = lazy(() => import("./KeyHelp"));

export function Shell() {
  const navigate = useNavigate();
  const { choice } = useTheme();
  const [help, setHelp] = useState(false);
  useKeys([
    { keys: "?", does: "This help", run: () => setHelp(true) },
    { keys: "/", does: "Go to the filter", run: focusMainFilter },
    { keys: "g e", does: "Go to experiments", run: () => navigate({ to: "/" }) },
    { keys: "g m", does: "Go to models", run: () => navigate({ to: "/models" }) },
    { keys: "Shift+D", does: "Change theme", run: () => setTheme(nextTheme(choice)) },
  ]);
  return (
    <div className={styles.shell}>
      <a className={styles.skip} href="#main">
        Skip to content
      </a>
      <Rail />
      <div className={styles.right}>
        <header className={styles.bar}>
          <Breadcrumb />
          <span className={styles.tools}>
            <Connection />
            <ThemeButton />
            <IconButton label="Keyboard shortcuts" onClick={() => setHelp(true)}>
              <Keyboard size={16} strokeWidth={1.5} />
            </IconButton>
          </span>
        </header>
        <main id="main" className={styles.main}>
          <Outlet />
        </main>
      </div>
      <Notices />
      {help && (
        <Suspense>
          <KeyHelp onClose={() => setHelp(false)} />
        </Suspense>
      )}
    </div>
  );
}

function Rail() {
  const path = useRouterState({ select: (state) => state.location.pathname });
  const inModels = path.startsWith("/models");
  return (
    <nav className={styles.rail} aria-label="Main">
      <Link to="/" className={styles.brand}>
        <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
          <rect width="32" height="32" rx="7" fill="currentColor" />
          <path
            d="M6 23c4 0 4-12 8-12s3 9 6 9 3-11 6-11"
            fill="none"
            stroke="var(--bg)"
            strokeWidth="3"
            strokeLinecap="round"
            strokeLinejoin="round"
          />
        </svg>
        <span>Runlore</span>
      </Link>
      <Link to="/" className={styles.item} data-open={!inModels && !path.startsWith("/trash")}>
        <FlaskConical size={16} strokeWidth={1.5} aria-hidden="true" />
        <span>Experiments</span>
      </Link>
      <Link to="/models" className={styles.item} data-open={inModels}>
        <Boxes size={16} strokeWidth={1.5} aria-hidden="true" />
        <span>Models</span>
      </Link>
      <Link to="/trash" className={`${styles.item} ${styles.last}`} data-open={path.startsWith("/trash")}>
        <Trash2 size={16} strokeWidth={1.5} aria-hidden="true" />
        <span>Trash</span>
      </Link>
    </nav>
  );
}

/** Says when the page no longer hears the server. */
function Connection() {
  const connected = useConnected();
  return (
    <span className={styles.live} data-connected={connected} role={connected ? undefined : "status"}>
      {connected ? <span className="visually-hidden">Live</span> : "No connection: what you see may be old"}
    </span>
  );
}

function ThemeButton() {
  const { choice } = useTheme();
  const Icon = { system: Monitor, light: Sun, dark: Moon }[choice];
  return (
    <IconButton label={`Theme: ${choice}`} onClick={() => setTheme(nextTheme(choice))}>
      <Icon size={16} strokeWidth={1.5} />
    </IconButton>
  );
}

function Place({ path }: { path: string }) {
  if (path.startsWith("/models")) return <Link to="/models">Models</Link>;
  if (path.startsWith("/trash")) return <Link to="/trash">Trash</Link>;
  return <Link to="/">Experiments</Link>;
}

function Breadcrumb() {
  const { exp, run, name } = useParams({ strict: false });
  const path = useRouterState({ select: (state) => state.location.pathname });
  const experiment = useQuery({ ...experimentQuery(exp ?? ""), enabled: Boolean(exp) });
  const overview = useQuery({ ...overviewQuery(run ?? ""), enabled: Boolean(run) });
  const separator = <ChevronRight size={14} strokeWidth={1.5} aria-hidden="true" />;
  return (
    <nav className={styles.crumbs} aria-label="Breadcrumb">
      <Place path={path} />
      {exp && (
        <>
          {separator}
          <Link to="/e/$exp/runs" params={{ exp }}>
            {experiment.data?.name ?? exp}
          </Link>
        </>
      )}
      {exp && run && (
        <>
          {separator}
          <Link to="/e/$exp/r/$run/$tab" params={{ exp, run, tab: "overview" }}>
            {overview.data?.run.info.run_name || run.slice(0, 8)}
          </Link>
        </>
      )}
      {name && (
        <>
          {separator}
          <Link to="/models/$name" params={{ name }}>
            {name}
          </Link>
        </>
      )}
    </nav>
  );
}
