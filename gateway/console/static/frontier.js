// Draws the chart of speed, cost and accuracy from what `#frontier-data` holds, anew when that is fetched anew or the
// colours of the system change.

import { axis as lines, colour, frame, plain, react, scheme } from "./charts.js";

const chart = document.getElementById("frontier");
const TITLES = { cost_usd: "Cost of a request, US$", latency_s: "Latency of a request, s", quality: "Quality" };
const WIDE = 5;
const SOURCES = { card: "as its card says", stated: "as the configuration says", prior: "a guess" };

const digits = (value) => (value === null ? "unknown" : Number(value.toPrecision(3)).toString());

function hover(place, what) {
  const source = place.basis === "observed" ? `mean of ${place.answers} answers` : SOURCES[place.basis];
  return (
    `<b>${what} ${plain(place.name)}</b><br>quality ${digits(place.quality)}<br>latency ${digits(place.latency_s)} s` +
    `<br>cost $${digits(place.cost_usd)}<br>${source}<extra></extra>`
  );
}

function points(places, axis, what, more) {
  return {
    type: "scatter",
    x: places.map((place) => place[axis]),
    y: places.map((place) => place.quality),
    text: places.map((place) => plain(place.name)),
    hovertemplate: places.map((place) => hover(place, what)),
    ...more,
  };
}

function sizes(values) {
  const most = Math.max(...values, Number.MIN_VALUE);
  return values.map((value) => 12 + 22 * Math.sqrt(value / most));
}

function traces(data) {
  const { axis, variants, tenants, front } = data;
  const third = axis === "cost_usd" ? "latency_s" : "cost_usd";
  const best = front.map((name) => variants.find((place) => place.name === name));
  return [
    points(best, axis, "best:", {
      name: "no other is both better and " + (axis === "cost_usd" ? "cheaper" : "faster"),
      mode: "lines",
      line: { color: colour("line-strong"), dash: "dash", width: 1.5 },
      hoverinfo: "skip",
      hovertemplate: null,
    }),
    points(variants, axis, "variant", {
      name: "variants; the larger, the " + (axis === "cost_usd" ? "slower" : "dearer"),
      mode: "markers+text",
      textposition: "top center",
      cliponaxis: false,
      marker: {
        size: sizes(variants.map((place) => place[third])),
        color: colour("bar"),
        opacity: 0.85,
        line: { color: colour("card"), width: 1.5 },
      },
    }),
    points(tenants.filter((place) => place.quality !== null), axis, "tenant", {
      name: "tenants, what they were given",
      mode: "markers+text",
      textposition: "middle right",
      cliponaxis: false,
      textfont: { color: colour("text-soft"), size: 11 },
      marker: { symbol: "diamond", size: 10, color: colour("mark"), line: { color: colour("card"), width: 1 } },
    }),
  ];
}

// A variant that takes ten times as long must not press all others into a corner.
function across(values) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  if (least <= 0 || most / least < WIDE) return { type: "linear", rangemode: "tozero" };
  const margin = 0.08 * Math.log10(most / least);
  return { type: "log", dtick: "D2", tickformat: "~g", range: [Math.log10(least) - margin, Math.log10(most) + margin] };
}

function upwards(values) {
  return [Math.max(0, Math.min(...values) - 0.12), Math.min(1.06, Math.max(...values) + 0.12)];
}

function layout({ axis, variants, tenants }) {
  const all = [...variants, ...tenants];
  return frame({
    xaxis: lines({ title: { text: TITLES[axis] }, ...across(all.map((place) => place[axis])) }),
    yaxis: lines({ title: { text: TITLES.quality }, range: upwards(all.map((place) => place.quality ?? 0.5)) }),
  });
}

function draw() {
  const data = JSON.parse(document.getElementById("frontier-data").dataset.chart);
  react(chart, traces(data), layout(data));
}

if (chart && window.Plotly) {
  draw();
  document.addEventListener("refreshed", (event) => event.target.querySelector("#frontier-data") && draw());
  scheme.addEventListener("change", draw);
}
