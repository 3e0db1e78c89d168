/** Where the page begins. */

import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "./tokens.css";
import { listen } from "@/api/live";
import { listenForKeys } from "@/lib/keys";
import { fromHash } from "./hash";
import { queryClient, router } from "./router";

// MLflow clients print addresses like /#/experiments/1/runs/<id>: they lead to the same place here.
const meant = fromHash(window.location.hash);
if (meant) window.history.replaceState(null, "", meant);
listenForKeys();
listen(queryClient);

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
