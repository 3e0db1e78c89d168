/** Under the runs table: how many there are, how many are marked, and what can be done with those. */

import { Link } from "@tanstack/react-router";
import { ChartLine, Columns2, FolderInput, Tag, Trash2 } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { useDeleteRuns } from "@/api/changes";
import { Button, IconButton } from "@/components/Button";
import { CopyButton } from "@/components/Value";
import { formatCount, plural } from "@/lib/format";
import { useKeys } from "@/lib/keys";
import { MOST_COMPARED, type RunsSearch } from "@/lib/search";
import styles from "./RunsPage.module.css";
import type { Selection } from "./selection";

const MoveDialog = lazy(() => import("./MoveDialog"));
const TagDialog = lazy(() => import("./TagDialog"));

interface SelectionBarProps {
  experimentId: string;
  search: RunsSearch;
  selection: Selection;
  /** Runs that match, and whether all of those that are loaded are marked. */
  total: number;
  allLoaded: boolean;
  words: string;
  /** Runs that the charts show when none is marked. */
  charted: number;
  onChange: (change: Partial<RunsSearch>) => void;
  onCompare: (ids: string[]) => void;
}

export function SelectionBar(props: SelectionBarProps) {
  const { experimentId, search, selection, total, words, charted, onChange } = props;
  const [dialog, setDialog] = useState<"move" | "tag" | null>(null);
  const deleteRuns = useDeleteRuns();
  const chosen = selection.chosen(experimentId);
  const clear = () => onChange({ sel: undefined, every: undefined });
  const remove = async () => {
    if (selection.size > 0 && (await deleteRuns(chosen))) clear();
  };
  const ids = selection.ids;
  const comparable = ids !== null && ids.length >= 2 && ids.length <= MOST_COMPARED;
  useKeys([
    { keys: "c", does: "Compare selected runs", run: () => comparable && props.onCompare(ids) },
    { keys: "#", does: "Move selected runs to the trash", run: remove },
    { keys: "m", does: "Move selected runs to another experiment", run: () => selection.size && setDialog("move") },
    { keys: "Shift+T", does: "Tag selected runs", run: () => selection.size && setDialog("tag") },
  ]);
  const count = plural(selection.size, "run");
  return (
    <footer className={styles.footer}>
      <span role="status">
        {words}
        {selection.size > 0 && ` · ${formatCount(selection.size)} selected`}
      </span>
      {props.allLoaded && !selection.every && selection.size < total && (
        <Button small onClick={() => onChange({ sel: undefined, every: true })}>
          Select all {formatCount(total)} that match
        </Button>
      )}
      {total > 0 && (
        <span className={styles.actions}>
          {selection.size > 0 && (
            <>
              <IconButton label={`Tag ${count}`} onClick={() => setDialog("tag")}>
                <Tag size={15} strokeWidth={1.5} />
              </IconButton>
              <IconButton label={`Move ${count} to another experiment`} onClick={() => setDialog("move")}>
                <FolderInput size={15} strokeWidth={1.5} />
              </IconButton>
              <IconButton label={`Delete ${count}`} onClick={remove}>
                <Trash2 size={15} strokeWidth={1.5} />
              </IconButton>
              {ids && <CopyButton text={() => ids.join("\n")} label="Copy run ids" />}
              <Button small onClick={clear}>
                Clear selection
              </Button>
              {selection.size > 1 && (
                <Button
                  small
                  disabled={!comparable}
                  title={comparable ? undefined : `2 to ${MOST_COMPARED} runs can be compared, chosen one by one`}
                  onClick={() => ids && props.onCompare(ids)}
                >
                  <Columns2 size={14} strokeWidth={1.5} aria-hidden="true" />
                  Compare
                </Button>
              )}
            </>
          )}
          <Link
            to="/e/$exp/charts"
            params={{ exp: experimentId }}
            search={{ f: search.f, sort: search.sort, sel: ids?.length ? ids : undefined, cols: search.cols }}
            className={styles.charts}
          >
            <ChartLine size={14} strokeWidth={1.5} aria-hidden="true" />
            {ids?.length ? `Chart ${count}` : `Chart first ${charted}`}
          </Link>
        </span>
      )}
      <Suspense>
        {dialog === "move" && (
          <MoveDialog
            chosen={chosen}
            count={selection.size}
            onDone={() => {
              setDialog(null);
              clear();
            }}
            onClose={() => setDialog(null)}
          />
        )}
        {dialog === "tag" && <TagDialog chosen={chosen} count={selection.size} onClose={() => setDialog(null)} />}
      </Suspense>
    </footer>
  );
}
