/** A snapshot's file, read with care: it may come from another version, or be cut off. */

export interface Snapshot {
  command: string;
  folder: string;
  git: { dirty: boolean } | null;
  python: string;
  host: { name: string; system: string; cpu: string; cpus: number; memory: number };
  /** Name and version, by name. */
  packages: [string, string][];
}

type Fields = Record<string, unknown>;

/** `undefined` where the file is no snapshot. */
export function readSnapshot(bytes: Uint8Array): Snapshot | undefined {
  let whole: unknown;
  try {
    whole = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
  const { command, git, python, host, packages } = fields(whole) as Record<string, Fields>;
  const [run, code, machine] = [fields(command), fields(git), fields(host)];
  const line = Array.isArray(run.command_line) ? run.command_line.map((part) => quoted(String(part))).join(" ") : "";
  return {
    command: line,
    folder: text(run.working_directory),
    git: code.commit ? { dirty: code.dirty === true } : null,
    python: [text(fields(python).version), text(fields(python).implementation)].filter(Boolean).join(" "),
    host: {
      name: text(machine.name),
      system: [text(machine.distribution) || text(machine.system), text(machine.machine)].filter(Boolean).join(" "),
      cpu: text(machine.cpu),
      cpus: Number(machine.cpus_available ?? machine.cpus ?? 1),
      memory: Number(machine.memory_bytes ?? 0),
    },
    packages: Object.entries(fields(packages)).map(([name, version]) => [name, text(version)]),
  };
}

function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function text(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

/** A part of a command as a shell reads it. */
function quoted(part: string): string {
  return /^[\w@%+=:,./-]+$/.test(part) ? part : `'${part.replaceAll("'", `'\\''`)}'`;
}
