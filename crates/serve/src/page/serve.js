"use strict";
// The served page: a picture goes to the server once; classes are clicked in explorer.js, which asks for maps that it lacks.

const place = (id) => document.getElementById(id);
const message = (text) => { place("message").textContent = text; };

// What is shown: the id of a picture at a layer, the layer, and what is asked of it.
let shown = null;
// A picture that is on its way.
let pending = null;
// Requests have turns: an answer that comes after a later request was sent is not shown.
let turn = 0;
let sending = new AbortController();

const asked = async (url, options) => {
  const response = await fetch(url, options);
  if (!response.ok) {
    const told = await response.json().catch(() => ({}));
    throw new Error(told.error ?? `the server answered ${response.status}`);
  }
  return response;
};

const busy = async (work) => {
  turn += 1;
  const mine = turn;
  const stale = () => mine !== turn;
  sending.abort();
  sending = new AbortController();
  message("");
  document.body.classList.add("busy");
  place("explorer").setAttribute("aria-busy", "true");
  try {
    await work(sending.signal, stale);
  } catch (error) {
    if (!stale()) message(error.message);
  }
  if (stale()) return;
  pending = null;
  document.body.classList.remove("busy");
  place("explorer").removeAttribute("aria-busy");
  // what was chosen may not have come to be
  if (shown) place("layer").value = shown.layer;
};

// Shows what the server knows of the picture with this id, asked as in `query`.
const show = async (id, query, signal, stale, before = {}) => {
  const data = await (await asked(`/pictures/${id}?${query}`, { signal })).json();
  if (stale()) return;
  shown = { id, layer: data.layer };
  const own = shown;
  await explore(place("explorer"), data, {
    ...before,
    more: async (index) => new Float32Array(await (await asked(`/pictures/${id}/cam/${index}`)).arrayBuffer()),
    changed: (state) => {
      if (own !== shown) return;
      own.state = { ...state };
      const run = new URLSearchParams({ class: state.asked, style: state.style });
      if (state.other != null) run.set("rather_than", state.other);
      place("run").href = `/pictures/${id}/run.zip?${run}`;
    },
  });
  place("downloads").hidden = false;
};

const layerQuery = () => (place("layer").value ? { layer: place("layer").value } : {});

const send = (file) => {
  pending = file;
  return busy(async (signal, stale) => {
    const query = new URLSearchParams({ name: file.name, ...layerQuery() });
    const answer = await (await asked(`/explain?${query}`, { method: "POST", body: file, signal })).json();
    if (!stale()) await show(answer.id, "", signal, stale);
  });
};

// The same picture at the layer that is chosen now, asked as before.
const again = () => busy(async (signal, stale) => {
  const { id, state } = shown;
  const search = place("search")?.value ?? "";
  const query = new URLSearchParams(layerQuery());
  const answer = await (await asked(`/pictures/${id}/explain?${query}`, { method: "POST", signal })).json();
  if (stale()) return;
  const kept = new URLSearchParams({ class: state.asked, style: state.style });
  if (state.other != null) kept.set("rather_than", state.other);
  await show(answer.id, kept, signal, stale, { opacity: state.opacity, search });
});

place("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) send(file);
  event.target.value = "";
});
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.toggle("over", kind === "dragenter" || kind === "dragover");
    const file = kind === "drop" && [...event.dataTransfer.files][0];
    if (file) send(file);
  });
}
document.addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files ?? [])][0];
  if (file) send(file);
});
place("layer").addEventListener("change", () => {
  if (pending) send(pending);
  else if (shown?.state) again();
});

document.querySelector("header").append(themeButton());
busy(async (signal) => {
  const about = await (await asked("/healthz", { signal })).json();
  place("layer").replaceChildren(...about.layers.map((name) =>
    element("option", { value: name, selected: name === about.layer }, name)));
});
