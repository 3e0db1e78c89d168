/** The run at first sight: results, parameters, where it came from, what went in and what came out. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { setRunNote, useChange } from "@/api/changes";
import { loggedModelQuery } from "@/api/queries";
import type { Run, RunOverview } from "@/api/types";
import { KeyValues } from "@/components/KeyValues";
import { NoteCard } from "@/components/Markdown";
import { Card } from "@/components/Page";
import { Chip, CopyButton, Num } from "@/components/Value";
import { formatNumber, plural, toNumber } from "@/lib/format";
import { Children, Parent } from "./Family";
import { paramPairs, Resumes } from "./Resumes";
import styles from "./RunPage.module.css";
import { Surroundings } from "./Surroundings";
import { tagEdit } from "./tagEdit";

/** Tags that the page shows in words elsewhere. */
const SHOWN_TAGS = new Set([
  "mlflow.note.content",
  "mlflow.runName",
  "mlflow.user",
  "mlflow.parentRunId",
  "mlflow.log-model.history",
]);

export function Overview({ overview }: { overview: RunOverview }) {
  const { run } = overview;
  const tags = new Map((run.data?.tags ?? []).map((tag) => [tag.key, tag.value]));
  const note = tags.get("mlflow.note.content") ?? "";
  const change = useChange();
  const userTags = (run.data?.tags ?? []).filter((tag) => !SHOWN_TAGS.has(tag.key) && !tag.key.startsWith("mlflow."));
  return (
    <div className={styles.grid}>
      <div className={styles.column}>
        <NoteCard title="Note" text={note} onSave={(text) => change(() => setRunNote(run.info.run_id, text))} />
        <Metrics overview={overview} />
        <Children overview={overview} />
        <KeyValues
          title="Params"
          noun="param"
          pairs={paramPairs(overview)}
          empty={
            <>
              Log one: <code>runlore.log_param("lr", 0.01)</code>
            </>
          }
          searchFrom={12}
        />
      </div>
      <div className={styles.column}>
        <Source run={run} tags={tags} />
        <Surroundings run={run} />
        <Resumes overview={overview} />
        <Parent overview={overview} />
        <Datasets run={run} />
        <Models overview={overview} />
        <KeyValues
          title="Tags"
          noun="tag"
          pairs={userTags}
          empty={
            <>
              Set one: <code>runlore.set_tag("team", "vision")</code>
            </>
          }
          searchFrom={12}
          edit={tagEdit(run, change)}
        />
      </div>
    </div>
  );
}

const MOST_METRICS = 30;

function Metrics({ overview }: { overview: RunOverview }) {
  const { metrics, run } = overview;
  return (
    <Card
      flush
      title={metrics.length ? `Metrics (${metrics.length})` : "Metrics"}
      tools={
        metrics.length > 0 && (
          <CopyButton
            label="Copy metrics as JSON"
            text={() => JSON.stringify(Object.fromEntries(metrics.map((metric) => [metric.key, metric.last])), null, 2)}
          />
        )
      }
    >
      {metrics.length === 0 ? (
        <p className={styles.none}>
          Log one: <code>runlore.log_metric("loss", 0.5, step=1)</code>
        </p>
      ) : (
        <table className={styles.table}>
          <thead>
            <tr>
              <th scope="col">Metric</th>
              <th scope="col" className={styles.end}>
                Last
              </th>
              <th scope="col" className={styles.end}>
                Min
              </th>
              <th scope="col" className={styles.end}>
                Max
              </th>
              <th scope="col" className={styles.end}>
                Points
              </th>
            </tr>
          </thead>
          <tbody>
            {metrics.slice(0, MOST_METRICS).map((metric) => (
              <tr key={metric.key}>
                <th scope="row">
                  <Link
                    to="/e/$exp/r/$run/$tab"
                    params={{ exp: run.info.experiment_id ?? "0", run: run.info.run_id, tab: "charts" }}
                    search={{ m: metric.key }}
                  >
                    {metric.key}
                  </Link>
                </th>
                <td className={styles.end}>
                  <Num value={metric.last} />
                </td>
                <td className={styles.end} title={`step ${metric.minimum_step}`}>
                  <Num value={metric.minimum} />
                </td>
                <td className={styles.end} title={`step ${metric.maximum_step}`}>
                  <Num value={metric.maximum} />
                </td>
                <td className={styles.end}>
                  <Num value={metric.count} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {metrics.length > MOST_METRICS && (
        <p className={styles.none}>
          {MOST_METRICS} of {plural(metrics.length, "metric")}; all of them under Metrics.
        </p>
      )}
    </Card>
  );
}

function Source({ run, tags }: { run: Run; tags: Map<string, string> }) {
  const commit = tags.get("mlflow.source.git.commit");
  const facts: [string, string | undefined][] = [
    ["Source", tags.get("mlflow.source.name")],
    ["Kind", tags.get("mlflow.source.type")?.toLowerCase()],
    ["Entry point", tags.get("mlflow.project.entryPoint")],
    ["Commit", commit],
    ["Branch", tags.get("mlflow.source.git.branch") ?? tags.get("mlflow.gitBranch")],
    ["Repository", tags.get("mlflow.source.git.repoURL") ?? tags.get("mlflow.gitRepoURL")],
    ["Artifacts", run.info.artifact_uri],
    ["Run id", run.info.run_id],
  ];
  return (
    <Card title="Origin">
      <dl className={styles.facts}>
        {facts.map(
          ([name, value]) =>
            value && (
              <FactRow key={name} name={name}>
                <code title={value}>{name === "Commit" ? value.slice(0, 12) : value}</code>
                <CopyButton text={value} label={`Copy ${name.toLowerCase()}`} />
              </FactRow>
            ),
        )}
      </dl>
    </Card>
  );
}

function FactRow({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function Datasets({ run }: { run: Run }) {
  const inputs = run.inputs?.dataset_inputs ?? [];
  if (inputs.length === 0) return null;
  return (
    <Card flush title={`Datasets (${inputs.length})`}>
      <ul className={styles.rows}>
        {inputs.map(({ dataset, tags }) => (
          <li key={`${dataset.name} ${dataset.digest}`}>
            <span>{dataset.name}</span>
            {(tags ?? []).map((tag) => (
              <Chip key={tag.key} tone="accent" title={tag.key}>
                {tag.value}
              </Chip>
            ))}
            <span className={styles.push}>
              {dataset.source_type} · <code>{dataset.digest}</code>
            </span>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Models({ overview }: { overview: RunOverview }) {
  const outputs = overview.run.outputs?.model_outputs ?? [];
  const inputs = overview.run.inputs?.model_inputs ?? [];
  const versions = overview.model_versions;
  if (outputs.length + inputs.length + versions.length === 0) return null;
  return (
    <Card flush title="Models">
      <ul className={styles.rows}>
        {versions.map((version) => (
          <li key={`${version.name} ${version.version}`}>
            <Link to="/models/$name" params={{ name: version.name }}>
              {version.name} v{version.version}
            </Link>
            {(version.aliases ?? []).map((alias) => (
              <Chip key={alias} tone="accent">
                @{alias}
              </Chip>
            ))}
            <span className={styles.push}>registered</span>
          </li>
        ))}
        {outputs.map((output) => (
          <LoggedModelRow
            run={overview.run}
            key={output.model_id}
            modelId={output.model_id}
            words={`logged at step ${formatNumber(toNumber(output.step) ?? 0)}`}
          />
        ))}
        {inputs.map((input) => (
          <LoggedModelRow run={overview.run} key={input.model_id} modelId={input.model_id} words="input" />
        ))}
      </ul>
    </Card>
  );
}

function LoggedModelRow({ run, modelId, words }: { run: Run; modelId: string; words: string }) {
  const { data } = useQuery(loggedModelQuery(modelId));
  const source = data?.info.source_run_id || run.info.run_id;
  return (
    <li>
      <Link
        to="/e/$exp/r/$run/$tab"
        params={{ exp: data?.info.experiment_id || (run.info.experiment_id ?? "0"), run: source, tab: "artifacts" }}
        search={{ model: modelId }}
        title={`Files of ${modelId}`}
      >
        {data?.info.name || "model"}
      </Link>
      {data?.info.model_type && <Chip>{data.info.model_type}</Chip>}
      <code title={modelId}>{modelId.slice(0, 10)}</code>
      <CopyButton text={`models:/${modelId}`} label="Copy model URI" />
      <span className={styles.push}>{words}</span>
    </li>
  );
}
