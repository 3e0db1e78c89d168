/** Views: what a table or a wall of charts shows, kept under a name or shared as a short address. */

import { useQuery } from "@tanstack/react-query";
import { Bookmark, X } from "lucide-react";
import { useState } from "react";
import { createView, deleteView, updateView, useChange } from "@/api/changes";
import { viewQuery, viewsQuery } from "@/api/queries";
import { Button, IconButton } from "@/components/Button";
import { Popover } from "@/components/Popover";
import { Ago, copyText } from "@/components/Value";
import { notify } from "@/lib/notices";
import { stringifySearch } from "@/lib/search";
import styles from "./ViewMenu.module.css";

interface ViewMenuProps {
  experimentId: string;
  /** Which page it is of: views of the table are not for the charts. */
  page: "runs" | "charts";
  search: Record<string, unknown>;
  onShow: (search: Record<string, unknown>) => void;
}

/** From this length on an address is shared as a view: mail and chat programs break long ones. */
const LONG = 1500;

export function ViewMenu(props: ViewMenuProps) {
  return (
    <Popover
      title="Views"
      trigger={
        <Button>
          <Bookmark size={14} strokeWidth={1.5} aria-hidden="true" />
          Views
        </Button>
      }
    >
      <Menu {...props} />
    </Popover>
  );
}

function Menu({ experimentId, page, search, onShow }: ViewMenuProps) {
  const [name, setName] = useState("");
  const { data: views = [] } = useQuery(viewsQuery(experimentId));
  const change = useChange();
  const state = { page, search };
  const save = async (event: React.FormEvent) => {
    event.preventDefault();
    const wanted = name.trim();
    if (wanted && (await change(() => createView(experimentId, wanted, state)))) setName("");
  };
  const share = async () => {
    let address = window.location.href;
    if (stringifySearch(search).length > LONG) {
      const { view } = await createView(experimentId, "", state);
      address = `${window.location.origin}${window.location.pathname}?v=${view.view_id}`;
    }
    await copyText(address);
    notify("Link copied.");
  };
  return (
    <>
      <ul className={styles.list}>
        {views.map((view) => (
          <li key={view.view_id}>
            <Open viewId={view.view_id} name={view.name} page={page} onShow={onShow} />
            <Ago time={view.last_update_time} />
            <Button
              small
              title="Replace it by what is shown now"
              onClick={() =>
                change(() => updateView(view.view_id, view.revision, state), { words: `View ${view.name} replaced.` })
              }
            >
              Update
            </Button>
            <IconButton
              label={`Delete view ${view.name}`}
              onClick={() => change(() => deleteView(view.view_id), { words: `View ${view.name} deleted.` })}
            >
              <X size={14} strokeWidth={1.5} />
            </IconButton>
          </li>
        ))}
        {views.length === 0 && <li className={styles.none}>No view has been saved in this experiment.</li>}
      </ul>
      <form className={styles.form} onSubmit={save}>
        <input
          aria-label="Name of the view"
          placeholder="Save what is shown as…"
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <Button small primary type="submit" disabled={!name.trim()}>
          Save
        </Button>
        <Button small onClick={share}>
          Copy link
        </Button>
      </form>
    </>
  );
}

interface OpenProps {
  viewId: string;
  name: string;
  page: string;
  onShow: (search: Record<string, unknown>) => void;
}

function Open({ viewId, name, page, onShow }: OpenProps) {
  const { refetch } = useQuery({ ...viewQuery(viewId), enabled: false });
  const open = async () => {
    const { data } = await refetch();
    const state = data?.state as { page?: string; search?: Record<string, unknown> } | undefined;
    if (state?.page && state.page !== page)
      notify(`${name} is a view of the ${state.page} page; its filter is shown here.`);
    if (state?.search) onShow(state.search);
  };
  return (
    <button type="button" className={styles.open} onClick={open}>
      {name}
    </button>
  );
}
