// One question to several variants at once: each column shows its answer as it comes.
// Everything that others wrote goes into the page as text, never as markup.

const form = document.getElementById("question");
const status = document.getElementById("playground-status");
const stop = document.getElementById("stop");
const columns = [...document.querySelectorAll(".answer[data-model]")];
const running = new Map();

document.getElementById("needs-script").hidden = true;
document.getElementById("playground").hidden = false;

const part = (column, name) => column.querySelector(`[data-part="${name}"]`);
const say = (column, name, text) => { part(column, name).textContent = text; };
const seconds = (s) => (s === null || s === undefined ? "–" : s < 1 ? `${Math.round(s * 1000)} ms` : `${s.toFixed(s < 10 ? 2 : 1)} s`);
const dollars = (usd) => (usd === null || usd === undefined ? "–" : usd === 0 ? "$0" : `$${Number(usd.toPrecision(3)).toFixed(9).replace(/0+$/, "")}`);

function body(model) {
  const fields = new FormData(form);
  const asked = { prompt: fields.get("prompt"), model, cache: fields.get("fresh") ? "no-cache" : "default" };
  if (fields.get("hint")) asked.hint = fields.get("hint");
  if (fields.get("max_tokens")) asked.max_tokens = Number(fields.get("max_tokens"));
  if (fields.get("temperature") !== "") asked.temperature = Number(fields.get("temperature"));
  return JSON.stringify(asked);
}

// The events of a stream of server-sent events, decoded.
async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const whole = (rest + value).split("\n\n");
    rest = whole.pop();
    for (const event of whole) {
      const data = event.replace(/^data: /, "");
      if (data && data !== "[DONE]") yield JSON.parse(data);
    }
  }
}

async function refusal(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).error.message;
  } catch {
    return `the gateway answered ${response.status}; load the page again`;
  }
}

function clear(column) {
  for (const name of ["text", "error", "variant", "ttft", "pace", "tokens", "cost", "cache", "time"]) say(column, name, name === "text" || name === "error" ? "" : "–");
  part(column, "why").replaceChildren();
  part(column, "trace").hidden = true;
  column.dataset.phase = "waiting";
  say(column, "phase", "waiting");
}

async function ask(column) {
  const model = column.dataset.model;
  const abort = new AbortController();
  running.set(model, abort);
  clear(column);
  const began = performance.now();
  const since = () => (performance.now() - began) / 1000;
  const ticking = setInterval(() => say(column, "time", seconds(since())), 100);
  let first = null;
  try {
    const response = await fetch(form.action, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": form.dataset.csrf },
      body: body(model),
      signal: abort.signal,
      credentials: "same-origin",
      redirect: "error",
    });
    if (!response.ok) throw new Error(await refusal(response));
    head(column, response.headers);
    for await (const event of events(response.body)) {
      if (event.error) throw new Error(event.error.message);
      const piece = event.choices[0]?.delta?.content;
      if (piece) {
        if (first === null) {
          first = since();
          say(column, "ttft", seconds(first));
          column.dataset.phase = "answering";
          say(column, "phase", "answering");
        }
        part(column, "text").append(piece);
      }
      if (event.usage) pace(column, event.usage.completion_tokens, since() - first);
      if (event.trilemma) explain(column, event.trilemma);
    }
    finish(column, "done");
  } catch (error) {
    if (running.get(model) !== abort) return; // The column is asked again already.
    const stopped = abort.signal.aborted;
    finish(column, stopped ? "stopped" : "failed");
    if (!stopped) say(column, "error", error.message);
  } finally {
    clearInterval(ticking);
    if (running.get(model) === abort) {
      say(column, "time", seconds(since()));
      running.delete(model);
      settle();
    }
  }
}

function head(column, headers) {
  say(column, "variant", headers.get("X-Trilemma-Variant") ?? "–");
  say(column, "cache", headers.get("X-Trilemma-Cache") ?? "–");
  const decision = headers.get("X-Trilemma-Decision");
  if (decision) {
    part(column, "trace").href = `/console/requests/${encodeURIComponent(decision)}`;
    part(column, "trace").hidden = false;
  }
}

function pace(column, tokens, seconds_) {
  say(column, "pace", tokens > 1 && seconds_ > 0.005 ? ((tokens - 1) / seconds_).toFixed(1) : "–");
  say(column, "tokens", String(tokens));
}

function cell(row, text, kind = "td") {
  const made = document.createElement(kind);
  if (kind === "th") made.scope = "row";
  made.textContent = text;
  row.append(made);
}

// Why this variant: a row for each candidate, the chosen one marked.
function explain(column, told) {
  say(column, "cost", dollars(told.cost_usd));
  say(column, "variant", told.variant ?? "–");
  if (column.dataset.model !== "auto" || !told.candidates) return;
  const table = document.getElementById("why-template").content.firstElementChild.cloneNode(true);
  if (told.meaning) table.caption.textContent = told.meaning.replaceAll("`", "");
  for (const candidate of told.candidates) {
    const row = table.tBodies[0].insertRow();
    const chosen = candidate.variant === told.variant;
    if (chosen) row.className = "chosen";
    cell(row, chosen ? `${candidate.variant} (answered)` : candidate.variant, "th");
    if (candidate.excluded_because) {
      cell(row, candidate.excluded_because.detail || candidate.excluded_because.reason);
      row.lastChild.colSpan = 4;
      row.lastChild.className = "why-not";
      continue;
    }
    cell(row, seconds(candidate.latency_s));
    cell(row, dollars(candidate.cost_usd));
    cell(row, candidate.quality === null ? "–" : candidate.quality.toFixed(2));
    cell(row, candidate.utility === null ? "–" : candidate.utility.toFixed(3));
  }
  part(column, "why").replaceChildren(table);
}

function finish(column, phase) {
  column.dataset.phase = phase;
  say(column, "phase", phase);
}

function settle() {
  if (running.size) return;
  stop.disabled = true;
  const ended = columns.filter((column) => ["done", "failed", "stopped"].includes(column.dataset.phase));
  const failed = ended.filter((column) => column.dataset.phase === "failed");
  status.textContent = failed.length ? `All have ended; ${failed.length} failed.` : "All have answered.";
}

// What a column waits for, as long as it waits: a variant that is cold says that it is being started.
async function watch() {
  while (running.size) {
    try {
      const response = await fetch(form.dataset.variants, { credentials: "same-origin", redirect: "error" });
      for (const told of response.ok ? await response.json() : []) {
        const column = columns.find((one) => one.dataset.model === told.model);
        if (column?.dataset.phase === "waiting" && told.state) say(column, "phase", told.state === "warm" ? "waiting" : told.note);
      }
    } catch { /* It is asked again in a second. */ }
    await new Promise((done) => setTimeout(done, 1000));
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  for (const abort of running.values()) abort.abort();
  const asked = columns.filter((column) => document.getElementById(`ask-${column.dataset.model}`).checked);
  for (const column of columns) column.hidden = !asked.includes(column);
  if (!asked.length) { status.textContent = "Choose somebody to ask."; return; }
  status.textContent = `Asked ${asked.length}.`;
  stop.disabled = false;
  Promise.all(asked.map(ask));
  watch();
});

stop.addEventListener("click", () => {
  for (const abort of running.values()) abort.abort();
});

form.elements.prompt.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
