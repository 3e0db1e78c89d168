/** An address that names a saved view shows what the view holds. */

import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { viewQuery } from "@/api/queries";
import { notify } from "@/lib/notices";

/** Once the view is here, `show` is called with its state; where there is none, that is said and the page stays. */
export function useSharedView(viewId: string | undefined, show: (search: object) => void): void {
  const { data, error } = useQuery({ ...viewQuery(viewId ?? ""), enabled: viewId !== undefined, retry: false });
  const latest = useRef(show);
  latest.current = show;
  useEffect(() => {
    if (!viewId) return;
    if (error) notify(`View ${viewId} can not be shown: ${error.message}`, { failed: true });
    if (data?.view_id === viewId) latest.current((data.state?.search ?? {}) as object);
    else if (error) latest.current({});
  }, [viewId, data, error]);
}
