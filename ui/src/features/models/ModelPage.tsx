/** One registered model: its versions, what each alias means, and how to load it. */

import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Folder } from "lucide-react";
import { useMemo, useState } from "react";
import { modelQuery, runsQuery } from "@/api/queries";
import type { ModelVersion, RegistryRow } from "@/api/types";
import { Segments } from "@/components/Button";
import { Card, Page, PageHead } from "@/components/Page";
import { ErrorState, Skeleton } from "@/components/States";
import { Ago, Chip, CopyButton, Snippet } from "@/components/Value";
import { plural } from "@/lib/format";
import { nextSort, type SortKey } from "@/lib/search";
import { Grid, type GridColumn, ROW_HEIGHT } from "@/table/Grid";
import styles from "./Models.module.css";

const route = getRouteApi("/models/$name");

export function ModelPage() {
  const { name } = route.useParams();
  const query = useQuery(modelQuery(name));
  const model = query.data?.model;
  const head = (
    <PageHead
      title={name}
      meta={
        model && (
          <>
            <span>{plural(query.data!.versions.length, "version")}</span>
            <span>
              changed <Ago time={model.last_updated_timestamp} />
            </span>
            {Object.entries(model.tags).map(([key, value]) => (
              <Chip key={key}>{value ? `${key}: ${value}` : key}</Chip>
            ))}
          </>
        )
      }
    />
  );
  return (
    <Page head={head}>
      {query.isPending && <Skeleton />}
      {query.error && <ErrorState error={query.error} retry={() => query.refetch()} />}
      {query.data && <Body model={query.data.model} versions={query.data.versions} />}
    </Page>
  );
}

function Body({ model, versions }: { model: RegistryRow; versions: readonly ModelVersion[] }) {
  return (
    <div className={styles.body}>
      {model.description && <p className={styles.description}>{model.description}</p>}
      <div className={styles.top}>
        <Aliases model={model} />
        <LoadCode model={model} latest={versions[0]?.version} />
      </div>
      <Card flush title={`Versions (${versions.length})`}>
        {versions.length === 0 ? <p className={styles.none}>No versions yet.</p> : <Versions versions={versions} />}
      </Card>
    </div>
  );
}

function Aliases({ model }: { model: RegistryRow }) {
  const aliases = Object.entries(model.aliases).sort(([left], [right]) => left.localeCompare(right));
  return (
    <Card flush title="Aliases">
      {aliases.length === 0 ? (
        <p className={styles.none}>
          No alias. Set one: <code>client.set_registered_model_alias("{model.name}", "champion", 1)</code>
        </p>
      ) : (
        <ul className={styles.aliases}>
          {aliases.map(([alias, version]) => (
            <li key={alias}>
              <Chip tone="accent">@{alias}</Chip>
              <span>version {version}</span>
              <CopyButton text={`models:/${model.name}@${alias}`} label={`Copy URI of ${alias}`} />
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

type Way = "runlore" | "mlflow";

function LoadCode({ model, latest }: { model: RegistryRow; latest: string | undefined }) {
  const [way, setWay] = useState<Way>("runlore");
  const alias = Object.keys(model.aliases)[0];
  const uri = `models:/${model.name}${alias ? `@${alias}` : `/${latest ?? 1}`}`;
  return (
    <Card
      title="Load it"
      tools={
        <Segments
          label="Client"
          value={way}
          options={[
            { value: "runlore", label: "Runlore" },
            { value: "mlflow", label: "MLflow" },
          ]}
          onChange={setWay}
        />
      }
    >
      <Snippet
        label="code"
        code={`import ${way}\n\n${way}.set_tracking_uri("${window.location.origin}")\nmodel = ${way}.pyfunc.load_model("${uri}")\nmodel.predict(data)`}
      />
    </Card>
  );
}

function Versions({ versions }: { versions: readonly ModelVersion[] }) {
  const [sort, setSort] = useState<SortKey | null>(null);
  const rows = useMemo(() => arrange(versions, sort), [versions, sort]);
  const runs = useRunPlaces(versions);
  const columns = useMemo(() => gridColumns(rows, runs), [rows, runs]);
  return (
    <div className={styles.grid} style={{ height: Math.min(16, rows.length) * ROW_HEIGHT + 36 }}>
      <Grid
        label="Versions"
        columns={columns}
        rowCount={rows.length}
        rowId={(row) => rows[row]?.version ?? null}
        sort={sort ?? { column: "version", descending: true }}
        onSort={(column) => setSort(nextSort(sort, column))}
      />
    </div>
  );
}

const VALUES: Record<string, (version: ModelVersion) => number | string> = {
  version: (version) => Number(version.version),
  created: (version) => version.creation_timestamp ?? 0,
  stage: (version) => version.current_stage ?? "",
};

function arrange(versions: readonly ModelVersion[], sort: SortKey | null): ModelVersion[] {
  const value = VALUES[sort?.column ?? "version"] ?? VALUES.version!;
  const direction = (sort?.descending ?? true) ? -1 : 1;
  return [...versions].sort((left, right) => {
    const [a, b] = [value(left), value(right)];
    return direction * (a < b ? -1 : a > b ? 1 : 0);
  });
}

interface Place {
  name: string;
  experimentId: string;
}

/** Name and experiment of the runs that the versions came from. */
function useRunPlaces(versions: readonly ModelVersion[]): ReadonlyMap<string, Place> {
  const ids = [...new Set(versions.map((version) => version.run_id).filter((id) => id))].slice(0, 200);
  const { data } = useQuery({
    ...runsQuery({
      experiment_ids: [],
      filter: `attributes.run_id IN (${ids.map((id) => `'${id}'`).join(", ")})`,
      columns: ["attributes.run_name", "attributes.experiment_id"],
      limit: 200,
      view_type: "ALL",
    }),
    enabled: ids.length > 0,
  });
  return useMemo(
    () =>
      new Map(
        data?.run_ids.map((id, index) => [
          id,
          {
            name: String(data.columns["attributes.run_name"]?.[index] ?? ""),
            experimentId: String(data.columns["attributes.experiment_id"]?.[index] ?? ""),
          },
        ]),
      ),
    [data],
  );
}

const TONES: Record<string, "ok" | "warn" | undefined> = { Production: "ok", Staging: "warn" };

function gridColumns(rows: readonly ModelVersion[], runs: ReadonlyMap<string, Place>): GridColumn[] {
  const column = (id: string, label: string, width: number, cell: (row: ModelVersion) => React.ReactNode) => ({
    id,
    label,
    width,
    sortable: id in VALUES,
    cell: (index: number) => (rows[index] ? cell(rows[index]) : null),
  });
  return [
    column("version", "Version", 100, (row) => (
      <span className={styles.version}>
        v{row.version}
        <CopyButton text={`models:/${row.name}/${row.version}`} label={`Copy URI of version ${row.version}`} />
      </span>
    )),
    column("aliases", "Aliases", 180, (row) => (
      <span className={styles.chips}>
        {(row.aliases ?? []).map((alias) => (
          <Chip key={alias} tone="accent">
            @{alias}
          </Chip>
        ))}
      </span>
    )),
    column("stage", "Stage", 110, (row) =>
      row.current_stage && row.current_stage !== "None" ? (
        <Chip tone={TONES[row.current_stage]}>{row.current_stage}</Chip>
      ) : (
        <span className={styles.faint}>–</span>
      ),
    ),
    column("run", "Source run", 220, (row) => <SourceRun row={row} place={runs.get(row.run_id ?? "")} />),
    column("created", "Created", 120, (row) => <Ago time={row.creation_timestamp} />),
    column("user", "By", 110, (row) => <span>{row.user_id || "–"}</span>),
    column("about", "Description and tags", 400, (row) => (
      <span className={styles.chips}>
        {row.status && row.status !== "READY" && (
          <Chip tone="warn">{row.status.toLowerCase().replaceAll("_", " ")}</Chip>
        )}
        {(row.tags ?? []).slice(0, 4).map((tag) => (
          <Chip key={tag.key} title={`${tag.key}: ${tag.value}`}>
            {tag.value ? `${tag.key}: ${tag.value}` : tag.key}
          </Chip>
        ))}
        {row.description && (
          <span className={styles.faint} title={row.description}>
            {row.description}
          </span>
        )}
      </span>
    )),
  ];
}

function SourceRun({ row, place }: { row: ModelVersion; place: Place | undefined }) {
  if (!row.run_id) return <span className={styles.faint}>{row.source || "–"}</span>;
  if (!place) return <code className={styles.faint}>{row.run_id.slice(0, 8)}</code>;
  return (
    <span className={styles.source}>
      <Link to="/e/$exp/r/$run/$tab" params={{ exp: place.experimentId, run: row.run_id, tab: "overview" }}>
        {place.name || row.run_id.slice(0, 8)}
      </Link>
      <Link
        to="/e/$exp/r/$run/$tab"
        params={{ exp: place.experimentId, run: row.run_id, tab: "artifacts" }}
        search={filesOf(row)}
        aria-label={`Files of version ${row.version}`}
      >
        <Folder size={14} strokeWidth={1.5} aria-hidden="true" />
        files
      </Link>
    </span>
  );
}

/** Where the version's files are among its run's: in a logged model, or in a folder that its source names. */
function filesOf(row: ModelVersion): { model?: string; path?: string } {
  if (row.model_id) return { model: row.model_id };
  const folder = /^runs:\/[^/]+\/(.+)$/.exec(row.source ?? "")?.[1];
  return folder ? { path: `${folder}/MLmodel` } : {};
}
