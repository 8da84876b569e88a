// Draws the charts of the page of learning from what `#learning-data` holds, anew when that is fetched anew or the
// colours of the system change.

import { axis, colour, frame, plain, react, scheme } from "./charts.js";

const SERIES = 8;
const moment = (unix_s) => new Date(unix_s * 1000).toISOString().slice(0, 19);
const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(3);

// Labels stay level, and so few that they have room on a narrow screen.
const times = (place) => axis({ type: "date", tickangle: 0, nticks: Math.max(2, Math.floor(place.clientWidth / 90)) });

// A variant has the same colour in all charts.
function colours(data) {
  const names = [...new Set([...Object.keys(data.shares.counts), ...Object.keys(data.coverage)])].sort();
  return Object.fromEntries(names.map((name, place) => [name, colour(`series-${(place % SERIES) + 1}`)]));
}

function shares(place, data) {
  const { begins_s, width_s, counts } = data.shares;
  const paint = colours(data);
  const totals = begins_s.map((_, bin) => Object.values(counts).reduce((sum, found) => sum + found[bin], 0));
  const traces = Object.entries(counts).map(([name, found]) => ({
    type: "bar",
    name: plain(name),
    x: begins_s.map((at) => moment(at + width_s / 2)),
    y: found.map((count, bin) => (totals[bin] ? count / totals[bin] : null)),
    width: 1000 * width_s,
    marker: { color: paint[name], line: { color: colour("card"), width: 0.5 } },
    hovertemplate: found.map(
      (count, bin) => `<b>${plain(name)}</b><br>${count} of ${totals[bin]} requests, %{y:.0%}<extra></extra>`,
    ),
  }));
  const layout = frame({
    barmode: "stack",
    bargap: 0,
    margin: { l: 48, r: 16, t: 24, b: 32 },
    xaxis: times(place),
    yaxis: axis({ tickformat: ".0%", range: [0, 1] }),
    showlegend: true,
  });
  layout.legend.traceorder = "normal";
  react(place, traces, layout);
}

function gain(place, data) {
  const blocks = data.blocks;
  const middle = blocks.map((block) => moment((block.from_s + block.until_s) / 2));
  const trace = {
    type: "scatter",
    mode: "lines+markers",
    x: middle,
    y: blocks.map((block) => block.difference),
    error_y: {
      type: "data",
      symmetric: false,
      array: blocks.map((block) => block.interval.high - block.difference),
      arrayminus: blocks.map((block) => block.difference - block.interval.low),
      color: colour("bar"),
      thickness: 1.5,
      width: 4,
    },
    line: { color: colour("accent"), width: 2 },
    marker: { color: colour("accent"), size: 7 },
    hovertemplate: blocks.map(
      (block) =>
        `routing ${block.routed.toFixed(3)}<br>always ${plain(data.best)} ${block.fixed.toFixed(3)}` +
        `<br>difference ${signed(block.difference)}<br>${block.rows} requests<extra></extra>`,
    ),
  };
  const layout = frame({
    margin: { l: 56, r: 16, t: 12, b: 32 },
    showlegend: false,
    xaxis: times(place),
    yaxis: axis({ title: { text: "utility" }, zerolinecolor: colour("line-strong"), zerolinewidth: 2 }),
  });
  react(place, [trace], layout);
}

function reliability(place, data) {
  const paint = colours(data);
  const traces = Object.entries(data.reliability).map(([name, bins]) => ({
    type: "scatter",
    mode: "markers",
    name: plain(name),
    x: bins.map((bin) => bin.predicted),
    y: bins.map((bin) => bin.realised),
    error_y: {
      type: "data",
      symmetric: false,
      array: bins.map((bin) => bin.interval.high - bin.realised),
      arrayminus: bins.map((bin) => bin.realised - bin.interval.low),
      color: paint[name],
      thickness: 1.2,
      width: 3,
    },
    marker: { color: paint[name], size: 8, line: { color: colour("card"), width: 1 } },
    hovertemplate: bins.map(
      (bin) =>
        `<b>${plain(name)}</b><br>predicted ${bin.predicted.toFixed(2)}, realised ${bin.realised.toFixed(2)}` +
        `<br>${bin.rows} answers<extra></extra>`,
    ),
  }));
  const right = {
    type: "scatter",
    mode: "lines",
    x: [0, 1],
    y: [0, 1],
    line: { color: colour("line-strong"), dash: "dash", width: 1.5 },
    hoverinfo: "skip",
    showlegend: false,
  };
  const layout = frame({
    xaxis: axis({ title: { text: "Predicted quality" }, range: [-0.02, 1.02] }),
    yaxis: axis({ title: { text: "Realised quality" }, range: [-0.02, 1.02] }),
    showlegend: true,
  });
  react(place, [right, ...traces], layout);
}

function between(share) {
  return {
    type: "data",
    symmetric: false,
    array: share.map((found) => found.interval.high - found.share),
    arrayminus: share.map((found) => found.share - found.interval.low),
    thickness: 1.2,
    width: 3,
  };
}

function coverage(place, data) {
  const paint = colours(data);
  const names = Object.keys(data.coverage).reverse();
  const points = (what, symbol, of) => {
    const told = names.filter((name) => of(name));
    const share = told.map(of);
    return {
      type: "scatter",
      mode: "markers",
      x: share.map((found) => found.share),
      y: told.map(plain),
      error_x: { ...between(share), color: colour("text-soft") },
      marker: { symbol, size: 10, color: told.map((name) => paint[name]), line: { color: colour("card"), width: 1 } },
      hovertemplate: told.map(
        (name) => `<b>${plain(name)}</b><br>%{x:.1%} of ${data.coverage[name].rows} answers ${what}<extra></extra>`,
      ),
    };
  };
  const right = (x) => ({
    type: "line",
    x0: x,
    x1: x,
    y0: 0,
    y1: 1,
    yref: "paper",
    layer: "below",
    line: { color: colour("line-strong"), dash: "dash", width: 1.5 },
  });
  const layout = frame({
    xaxis: axis({ title: { text: "Answers below what was predicted" }, tickformat: ".0%", range: [0, 1.02] }),
    yaxis: axis({ type: "category", automargin: true, showgrid: false }),
    shapes: [right(0.5), right(0.95)],
    showlegend: false,
  });
  const drawn = [
    points("were below the median", "circle", (name) => data.coverage[name].below_median),
    points("were below the upper quantile", "diamond", (name) => data.coverage[name].below_high),
  ];
  react(place, drawn, layout);
}

const DRAWN = { shares, gain, reliability, coverage };

let places = [];

function draw() {
  // What was replaced is given back, or an open page would grow for as long as it is open.
  for (const place of places) if (!place.isConnected) window.Plotly.purge(place);
  places = [...document.querySelectorAll("[data-draw]")];
  const data = JSON.parse(document.getElementById("learning-data").dataset.chart);
  for (const place of places) DRAWN[place.dataset.draw](place, data);
}

if (window.Plotly) {
  draw();
  document.addEventListener("refreshed", draw);
  scheme.addEventListener("change", draw);
}
