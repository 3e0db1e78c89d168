/** Addresses that MLflow's clients print, as ours. */

/** The path that an MLflow hash address means, or `null`. */
export function fromHash(hash: string): string | null {
  const run = /^#\/experiments\/(\d+)\/runs\/([0-9a-f]{32})/i.exec(hash);
  if (run) return `/e/${run[1]}/r/${run[2]}/overview`;
  const experiment = /^#\/experiments\/(\d+)/.exec(hash);
  if (experiment) return `/e/${experiment[1]}/runs`;
  const model = /^#\/models\/([^/?#]+)/.exec(hash);
  if (model) return `/models/${model[1]}`;
  return /^#\/models/.test(hash) ? "/models" : null;
}
