// What all charts share: colours of the page, texts without tags, and the frame around the plot.

export const scheme = matchMedia("(prefers-color-scheme: dark)");
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
// Names come from configuration; plotly reads tags in texts, so none may be left in them.
export const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

export function axis(more) {
  return { gridcolor: colour("line"), zerolinecolor: colour("line"), linecolor: colour("line"), ...more };
}

export function frame(more) {
  return {
    autosize: true,
    margin: { l: 56, r: 16, t: 24, b: 48 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("text") },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, itemclick: false, itemdoubleclick: false },
    hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line-strong"), font: { color: colour("text") } },
    ...more,
  };
}

export function react(place, traces, layout) {
  window.Plotly.react(place, traces, layout, { displayModeBar: false, responsive: true });
}
