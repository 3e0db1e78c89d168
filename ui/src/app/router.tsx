/** Addresses and the pages behind them. Search parameters are checked here, once. */

import { QueryClient } from "@tanstack/react-query";
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";
import { ApiError } from "@/api/client";
import { prefix } from "@/api/prefix";
import { ErrorState } from "@/components/States";
import { chartsSearch, compareSearch, parseSearch, runsSearch, stringifySearch, trashSearch } from "@/lib/search";
import { NotFound } from "./NotFound";
import { Shell } from "./Shell";

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2000,
      // A wrong question stays wrong; only silence and trouble on the server are worth another try.
      retry: (count, error) => count < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
    },
  },
});

interface ListSearch {
  q?: string;
  sort?: string;
}

function listSearch(raw: Record<string, unknown>): ListSearch {
  const { f, sort } = runsSearch({ f: raw.q, sort: raw.sort });
  return { ...(f ? { q: f } : {}), ...(sort ? { sort } : {}) };
}

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound });

const experiments = createRoute({
  getParentRoute: () => root,
  path: "/",
  validateSearch: listSearch,
  component: lazyRouteComponent(() => import("@/features/experiments/ExperimentsPage"), "ExperimentsPage"),
});

const experiment = createRoute({
  getParentRoute: () => root,
  path: "/e/$exp",
  beforeLoad: ({ params }) => {
    throw redirect({ to: "/e/$exp/runs", params });
  },
});

const runs = createRoute({
  getParentRoute: () => root,
  path: "/e/$exp/runs",
  validateSearch: runsSearch,
  component: lazyRouteComponent(() => import("@/features/runs/RunsPage"), "RunsPage"),
});

const charts = createRoute({
  getParentRoute: () => root,
  path: "/e/$exp/charts",
  validateSearch: (raw: Record<string, unknown>) => ({ ...runsSearch(raw), ...chartsSearch(raw) }),
  component: lazyRouteComponent(() => import("@/features/runs/ChartsPage"), "ChartsPage"),
});

const run = createRoute({
  getParentRoute: () => root,
  path: "/e/$exp/r/$run",
  beforeLoad: ({ params }) => {
    throw redirect({ to: "/e/$exp/r/$run/$tab", params: { ...params, tab: "overview" } });
  },
});

const runTab = createRoute({
  getParentRoute: () => root,
  path: "/e/$exp/r/$run/$tab",
  validateSearch: (raw: Record<string, unknown>) => ({
    ...chartsSearch(raw),
    ...(typeof raw.path === "string" && raw.path ? { path: raw.path } : {}),
    ...(typeof raw.model === "string" && raw.model ? { model: raw.model } : {}),
  }),
  component: lazyRouteComponent(() => import("@/features/run/RunPage"), "RunPage"),
});

const compare = createRoute({
  getParentRoute: () => root,
  path: "/compare",
  validateSearch: compareSearch,
  component: lazyRouteComponent(() => import("@/features/compare/ComparePage"), "ComparePage"),
});

const trash = createRoute({
  getParentRoute: () => root,
  path: "/trash",
  validateSearch: trashSearch,
  component: lazyRouteComponent(() => import("@/features/trash/TrashPage"), "TrashPage"),
});

const models = createRoute({
  getParentRoute: () => root,
  path: "/models",
  validateSearch: listSearch,
  component: lazyRouteComponent(() => import("@/features/models/ModelsPage"), "ModelsPage"),
});

const model = createRoute({
  getParentRoute: () => root,
  path: "/models/$name",
  component: lazyRouteComponent(() => import("@/features/models/ModelPage"), "ModelPage"),
});

export const router = createRouter({
  routeTree: root.addChildren([experiments, experiment, runs, charts, run, runTab, compare, trash, models, model]),
  basepath: prefix() || "/",
  defaultPreload: "intent",
  parseSearch,
  stringifySearch,
  defaultErrorComponent: ({ error, reset }) => <ErrorState error={error} retry={reset} />,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
