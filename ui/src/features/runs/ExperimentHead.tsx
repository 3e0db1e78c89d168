/** The head that the pages of one experiment share. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { renameExperiment, setExperimentNote, useChange } from "@/api/changes";
import { ApiError } from "@/api/client";
import { experimentQuery } from "@/api/queries";
import { editName, InlineEdit } from "@/components/InlineEdit";
import { NoteLine } from "@/components/Markdown";
import { Page, PageHead, tabClass } from "@/components/Page";
import { EmptyState } from "@/components/States";
import { Chip, CopyButton } from "@/components/Value";
import { useKeys } from "@/lib/keys";

interface ExperimentHeadProps {
  experimentId: string;
  page: string;
  meta?: React.ReactNode;
}

const MOST_TAGS = 6;

/** The server's answer that there is no such experiment, if that is what it says. */
export function useNoExperiment(experimentId: string): ApiError | null {
  const { error } = useQuery(experimentQuery(experimentId));
  return error instanceof ApiError && error.status === 404 ? error : null;
}

/** What the pages of an experiment show then. */
export function NoExperiment({ error, page }: { error: ApiError; page: string }) {
  return (
    <Page head={<PageHead title={page} />}>
      <EmptyState title="No such experiment">
        <p>{error.message}</p>
        <p>
          <Link to="/">All experiments</Link>, or <Link to="/trash">the trash</Link>
        </p>
      </EmptyState>
    </Page>
  );
}

export function ExperimentHead({ experimentId, page, meta }: ExperimentHeadProps) {
  const { data } = useQuery(experimentQuery(experimentId));
  const name = data?.name ?? "";
  const change = useChange();
  useKeys([{ keys: "e", does: "Change the experiment's name", run: editName }]);
  const tags = data?.tags ?? [];
  const note = tags.find((tag) => tag.key === "mlflow.note.content")?.value;
  return (
    <PageHead
      title={
        name ? (
          <InlineEdit
            label="experiment name"
            value={name}
            onSave={(next) => change(() => renameExperiment(experimentId, next), { words: `Renamed to ${next}.` })}
          />
        ) : (
          " "
        )
      }
      name={`${page} · ${name}`}
      below={
        data && (
          <NoteLine
            title="Note"
            text={note ?? ""}
            onSave={(text) => change(() => setExperimentNote(experimentId, text))}
          />
        )
      }
      meta={
        <>
          {meta}
          <span>
            id {experimentId} <CopyButton text={experimentId} label="Copy experiment id" />
          </span>
          {tags
            .filter((tag) => !tag.key.startsWith("mlflow."))
            .slice(0, MOST_TAGS)
            .map((tag) => (
              <Chip key={tag.key} title={`${tag.key}: ${tag.value}`}>
                {tag.value ? `${tag.key}: ${tag.value}` : tag.key}
              </Chip>
            ))}
        </>
      }
      tabs={
        <>
          <Link
            to="/e/$exp/runs"
            params={{ exp: experimentId }}
            search={keepFilter}
            className={tabClass}
            activeOptions={{ includeSearch: false }}
          >
            Runs
          </Link>
          <Link
            to="/e/$exp/charts"
            params={{ exp: experimentId }}
            search={keepFilter}
            className={tabClass}
            activeOptions={{ includeSearch: false }}
          >
            Charts
          </Link>
        </>
      }
    />
  );
}

/** Filter, order and selection are the experiment's, not the page's: they go along. */
function keepFilter(old: Record<string, unknown>): Record<string, unknown> {
  return { f: old.f, sort: old.by ? undefined : old.sort, sel: old.sel, cols: old.cols, by: old.by };
}
