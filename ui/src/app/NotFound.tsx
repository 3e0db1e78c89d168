/** An address that leads nowhere. */

import { Link } from "@tanstack/react-router";
import { EmptyState } from "@/components/States";

export function NotFound() {
  return (
    <EmptyState title="There is no such page">
      <p>
        Start again at <Link to="/">Experiments</Link>.
      </p>
    </EmptyState>
  );
}
