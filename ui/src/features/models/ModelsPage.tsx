/** All registered models: what there is and which version each alias means. */

import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { Boxes } from "lucide-react";
import { useMemo } from "react";
import { modelsQuery } from "@/api/queries";
import type { RegistryRow } from "@/api/types";
import { Button } from "@/components/Button";
import { Page, PageHead } from "@/components/Page";
import { SearchInput } from "@/components/SearchInput";
import { EmptyState, ErrorState, Skeleton } from "@/components/States";
import { Ago, Chip, Snippet } from "@/components/Value";
import { formatCount, plural } from "@/lib/format";
import { formatSort, nextSort, parseSort } from "@/lib/search";
import { Grid, type GridColumn } from "@/table/Grid";
import { arrange, listColumns, type SortValues } from "@/table/list";
import styles from "./Models.module.css";

const route = getRouteApi("/models");

export function ModelsPage() {
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/models" });
  const query = useQuery(modelsQuery);
  const wanted = search.q ?? "";
  const sort = parseSort(search.sort);
  const rows = useMemo(
    () => arrange(query.data ?? [], wanted, words, parseSort(search.sort), VALUES),
    [query.data, wanted, search.sort],
  );
  const columns = useMemo(() => gridColumns(rows), [rows]);
  const total = query.data?.length ?? 0;
  const setQuery = (q: string) => navigate({ search: (old) => ({ ...old, q: q || undefined }), replace: true });
  const head = (
    <PageHead
      title="Models"
      meta={total > 0 && <span>{plural(total, "registered model")}</span>}
      tools={
        total > 0 && (
          <SearchInput main label="Search models" placeholder="Name, alias or tag" value={wanted} onChange={setQuery} />
        )
      }
    />
  );
  if (query.isPending)
    return (
      <Page head={head}>
        <Skeleton />
      </Page>
    );
  if (!query.data)
    return (
      <Page head={head}>
        <ErrorState error={query.error} retry={() => query.refetch()} />
      </Page>
    );
  if (total === 0)
    return (
      <Page head={head}>
        <NoModels />
      </Page>
    );
  return (
    <Page head={head} fixed>
      {rows.length === 0 ? (
        <EmptyState title="Nothing matches">
          <p>
            “{wanted}” hides all {plural(total, "model")}.
          </p>
          <Button onClick={() => setQuery("")}>Clear search</Button>
        </EmptyState>
      ) : (
        <Grid
          label="Registered models"
          columns={columns}
          rowCount={rows.length}
          rowId={(row) => rows[row]?.name ?? null}
          sort={sort ?? { column: "changed", descending: true }}
          onSort={(column) =>
            navigate({ search: (old) => ({ ...old, sort: formatSort(nextSort(sort, column)) }), replace: true })
          }
          onOpen={(row) => navigate({ to: "/models/$name", params: { name: rows[row]!.name } })}
          resetKey={`${wanted}\n${search.sort ?? ""}`}
        />
      )}
    </Page>
  );
}

const VALUES: SortValues<RegistryRow> = {
  name: (row) => row.name,
  versions: (row) => row.versions,
  changed: (row) => row.last_updated_timestamp ?? 0,
};

/** What a search looks at; aliases with and without their sign. */
function words(row: RegistryRow): (string | null | undefined)[] {
  const aliases = Object.keys(row.aliases).map((alias) => `@${alias}`);
  return [row.name, row.description, ...aliases, ...Object.entries(row.tags).flat()];
}

function gridColumns(rows: readonly RegistryRow[]): GridColumn[] {
  return listColumns(rows, VALUES, [
    {
      id: "name",
      label: "Name",
      width: 300,
      cell: (row) => (
        <Link to="/models/$name" params={{ name: row.name }} className={styles.name} title={row.name}>
          {row.name}
        </Link>
      ),
    },
    {
      id: "latest",
      label: "Latest",
      width: 80,
      align: "end",
      cell: (row) => <span>{row.latest_version ? `v${row.latest_version}` : "–"}</span>,
    },
    {
      id: "versions",
      label: "Versions",
      width: 92,
      align: "end",
      cell: (row) => <span>{formatCount(row.versions)}</span>,
    },
    { id: "aliases", label: "Aliases", width: 280, cell: (row) => <Aliases row={row} /> },
    { id: "changed", label: "Changed", width: 130, cell: (row) => <Ago time={row.last_updated_timestamp} /> },
    { id: "about", label: "Description and tags", width: 420, cell: (row) => <About row={row} /> },
  ]);
}

function Aliases({ row }: { row: RegistryRow }) {
  return (
    <span className={styles.chips}>
      {Object.entries(row.aliases).map(([alias, version]) => (
        <Chip key={alias} tone="accent" title={`${alias} means version ${version}`}>
          @{alias} v{version}
        </Chip>
      ))}
    </span>
  );
}

const MOST_TAGS = 4;

function About({ row }: { row: RegistryRow }) {
  return (
    <span className={styles.chips}>
      {Object.entries(row.tags)
        .slice(0, MOST_TAGS)
        .map(([key, value]) => (
          <Chip key={key} title={`${key}: ${value}`}>
            {value ? `${key}: ${value}` : key}
          </Chip>
        ))}
      {row.description && (
        <span className={styles.faint} title={row.description}>
          {row.description}
        </span>
      )}
    </span>
  );
}

function NoModels() {
  return (
    <EmptyState title="No registered models" icon={<Boxes size={20} strokeWidth={1.5} />}>
      <p>A registered model is a name with numbered versions, each from a run. Register one from Python:</p>
      <Snippet
        label="snippet"
        code={`import runlore\n\nrunlore.set_tracking_uri("${window.location.origin}")\nrunlore.register_model("runs:/<run id>/model", "my-model")`}
      />
      <p>
        Or pick a finished run in <Link to="/">Experiments</Link> and look at its models.
      </p>
    </EmptyState>
  );
}
