"use strict";
// The served page: a picture goes to the server once; classes are clicked in explorer.js, which asks for maps that it lacks.

const place = (id) => document.getElementById(id);
const message = (text) => { place("message").textContent = text; };
let current = null;

const asked = async (url, options) => {
  const response = await fetch(url, options);
  if (!response.ok) {
    const told = await response.json().catch(() => ({}));
    throw new Error(told.error ?? `the server answered ${response.status}`);
  }
  return response;
};

const busy = async (work) => {
  message("");
  document.body.classList.add("busy");
  try {
    await work();
  } catch (error) {
    message(error.message);
  } finally {
    document.body.classList.remove("busy");
  }
};

// Shows what the server knows of the picture with this id.
const show = async (id) => {
  const data = await (await asked(`/pictures/${id}`)).json();
  current = id;
  const cam = async (index) =>
    new Float32Array(await (await asked(`/pictures/${id}/cam/${index}`)).arrayBuffer());
  await explore(place("explorer"), data, cam, (state) => {
    const query = new URLSearchParams({ class: state.asked, style: state.style });
    if (state.other != null) query.set("rather_than", state.other);
    place("run").href = `/pictures/${id}/run.zip?${query}`;
  });
  place("downloads").hidden = false;
};

const layerQuery = () => (place("layer").value ? { layer: place("layer").value } : {});

const send = (file) => busy(async () => {
  const query = new URLSearchParams({ name: file.name, ...layerQuery() });
  const answer = await (await asked(`/explain?${query}`, { method: "POST", body: file })).json();
  await show(answer.id);
});

place("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) send(file);
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
  if (current) busy(async () => {
    const query = new URLSearchParams(layerQuery());
    const answer = await (await asked(`/pictures/${current}/explain?${query}`, { method: "POST" })).json();
    await show(answer.id);
  });
});

document.querySelector("header").append(themeButton());
busy(async () => {
  const about = await (await asked("/healthz")).json();
  place("layer").replaceChildren(...about.layers.map((name) =>
    element("option", { value: name, selected: name === about.layer }, name)));
});
