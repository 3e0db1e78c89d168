/** The nouns of the API, from the generated document, with defaults filled in where the wire leaves them out. */

import type { TableWindow } from "@/lib/windows";
import type { components } from "./schema";

type Schemas = components["schemas"];
/** The wire leaves out fields at their default; these are put back. */
type Filled<T, K extends keyof T> = T & { [P in K]-?: NonNullable<T[P]> };

export type ExperimentSummary = Filled<
  Schemas["ExperimentSummary"],
  "run_count" | "running_count" | "lost_count" | "tags"
>;
export type Experiment = Schemas["Experiment"];
export type ColumnInfo = Schemas["ColumnInfo"];
export type ColumnCatalogue = Filled<Schemas["ColumnCatalogue"], "columns" | "total">;
export type RunTable = TableWindow;
export type Run = Schemas["Run"];
export type MetricSummary = Schemas["MetricSummary"];
export type ModelVersion = Schemas["ModelVersion"];
export type RunOverview = Filled<Schemas["RunOverview"], "metrics" | "children" | "model_versions">;
export type RegistryRow = Filled<Schemas["RegistryRow"], "aliases" | "tags">;
export type RegisteredModelPage = { model: RegistryRow; versions: ModelVersion[] };
export type LoggedModel = Schemas["LoggedModel"];
export type FileInfo = Schemas["FileInfo"];
export type RunFiles = Filled<Schemas["RunFilesReply"], "files">;
export type RunLife = Schemas["RunLife"];
export type Trash = Schemas["Trash"];
export type TrashItem = Schemas["TrashItem"];
export type Purged = Schemas["Purged"];
export type SavedView = Schemas["SavedView"];
export type GroupTable = Schemas["GroupTable"];
export type GroupRuns = Schemas["GroupRuns"];
export type ColumnHistogram = Schemas["ColumnHistogram"];
export type Histograms = Schemas["Histograms"];
export type GetHistograms = Schemas["GetHistograms"];
export type ComparedTexts = Schemas["ComparedTexts"];
export type ComparedMetrics = Schemas["ComparedMetrics"];
export type RunComparison = Schemas["RunComparison"];
export type Changes = Required<Schemas["Changes"]>;
export type QueryRuns = Schemas["QueryRuns"];
export type QuerySeries = Schemas["QuerySeries"];
