// Keeps parts of a page fresh: `<section data-refresh="URL" data-every="SECONDS">` is filled again and again with what
// the URL answers. Stops while nobody looks, or when told to by the button `#pause`. Without this script pages are
// complete, and as old as their last reload.

const LONGEST_S = 60;
let paused = false;

async function refreshed(part) {
  const answer = await fetch(part.dataset.refresh, { headers: { Accept: "text/plain" } });
  if (answer.status === 401) {
    location.reload(); // Leads to signing in, and back here.
    return;
  }
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const held = part.contains(document.activeElement) ? document.activeElement.id : "";
  const open = [...part.querySelectorAll("details[open][id]")].map((found) => found.id);
  part.innerHTML = await answer.text(); // Escaped by its template, as the page is.
  for (const id of open) part.querySelector(`#${CSS.escape(id)}`)?.setAttribute("open", "");
  if (held) part.querySelector(`#${CSS.escape(held)}`)?.focus();
  part.dispatchEvent(new CustomEvent("refreshed", { bubbles: true }));
}

function keepFresh(part) {
  const every = Number(part.dataset.every || 5);
  let wait = every;
  const turn = async () => {
    if (!paused && !document.hidden) {
      try {
        await refreshed(part);
        part.removeAttribute("data-stale");
        wait = every;
      } catch {
        part.setAttribute("data-stale", "");
        wait = Math.min(LONGEST_S, wait * 2);
      }
      told();
    }
    setTimeout(turn, wait * 1000);
  };
  setTimeout(turn, (part.hasAttribute("data-at-once") ? 0 : every) * 1000);
}

function told() {
  const note = document.getElementById("freshness");
  if (!note) return;
  const stale = document.querySelector("[data-stale]") !== null;
  note.textContent = paused ? "Updates are paused" : stale ? "The gateway does not answer; trying again" : "";
}

for (const part of document.querySelectorAll("[data-refresh]")) keepFresh(part);

const pause = document.getElementById("pause");
if (pause) {
  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    told();
  });
}
