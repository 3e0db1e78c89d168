/** How charts are drawn: above a wall of charts, and for one card in its menu. */

import { Segments } from "@/components/Button";
import type { Spread } from "@/lib/search";
import styles from "./ChartsPanel.module.css";
import type { CardSettings, ChartSettings } from "./settings";

interface ChartControlsProps {
  settings: ChartSettings;
  /** Metrics that may be x. */
  metrics: readonly string[];
  /** Runs are taken together: their spread is the band. Only the page says which, a card does not. */
  grouped: boolean;
  card?: boolean;
  onChange: (change: CardSettings & { spread?: Spread }) => void;
}

const AXES = [
  { value: "step", label: "Step" },
  { value: "relative", label: "Relative", title: "Time since the run's first point" },
  { value: "time", label: "Time" },
] as const;
const SPREADS: readonly { value: Spread; label: string }[] = [
  { value: "std", label: "± standard deviation" },
  { value: "ci95", label: "± 95% confidence" },
  { value: "range", label: "min to max" },
  { value: "none", label: "no band" },
];

export function ChartControls({ settings, metrics, grouped, card, onChange }: ChartControlsProps) {
  const { x, xm, smooth, log, logx, band, clip, spread } = settings;
  const check = (label: string, checked: boolean, name: keyof CardSettings, title?: string) => (
    <label className={styles.check} title={title}>
      <input type="checkbox" checked={checked} onChange={(event) => onChange({ [name]: event.target.checked })} />
      {label}
    </label>
  );
  return (
    <>
      <span className={styles.axis}>
        <span className={styles.label}>x</span>
        <Segments
          label="Horizontal axis"
          value={x as string}
          options={AXES}
          onChange={(next) => onChange({ x: next as ChartSettings["x"], xm: undefined })}
        />
        <select
          aria-label="Metric as horizontal axis"
          value={x === "metric" ? xm : ""}
          data-on={x === "metric"}
          onChange={(event) => {
            const metric = event.target.value;
            onChange(metric ? { x: "metric", xm: metric } : { x: "step", xm: undefined });
          }}
        >
          <option value="">Metric…</option>
          {xm && !metrics.includes(xm) && <option value={xm}>{xm}</option>}
          {metrics.map((metric) => (
            <option key={metric} value={metric}>
              {metric}
            </option>
          ))}
        </select>
      </span>
      <Smoothing value={smooth} onChange={(next) => onChange({ smooth: next })} />
      {x !== "time" && check("Log x", logx, "logx")}
      {check("Log y", log, "log")}
      {grouped && !card && (
        <select
          aria-label="Band of the groups"
          value={spread}
          onChange={(event) => onChange({ spread: event.target.value as Spread })}
        >
          {SPREADS.map((each) => (
            <option key={each.value} value={each.value}>
              {each.label}
            </option>
          ))}
        </select>
      )}
      {!grouped && check("Range", band, "band", "The smallest and largest value of each bucket, as a band")}
      {check("Clip outliers", clip, "clip", "The axis shows the middle 98% of the values; those outside are counted")}
    </>
  );
}

/** The slider's places: 0 to 0.99999, finer near 1, where it matters. */
const WEIGHTS = [0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999, 0.9999, 0.99999];

function Smoothing({ value, onChange }: { value: number; onChange: (value: number) => void }) {
  const place = WEIGHTS.reduce(
    (best, weight, index) => (Math.abs(weight - value) < Math.abs(WEIGHTS[best]! - value) ? index : best),
    0,
  );
  return (
    <label className={styles.smoothing} title="Exponential mean over the points; the tooltip shows the raw value too">
      <span className={styles.label}>Smoothing</span>
      <input
        type="range"
        min={0}
        max={WEIGHTS.length - 1}
        value={place}
        aria-valuetext={value ? String(value) : "off"}
        onChange={(event) => onChange(WEIGHTS[Number(event.target.value)] ?? 0)}
      />
      <output>{value || "off"}</output>
    </label>
  );
}
