"use strict";
// One picture, maps of its classes, and the three questions about any of them, answered here: every answer is a sum of class
// maps, so a click needs no network. report.html holds the data; `introspect serve` sends them.

const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
};

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const floats = (text) => new Float32Array(bytes(text).buffer);

// Two digits, never a rounded 0 or 100 for what is not: as in the manifest's notes.
const percent = (share) => {
  const value = 100 * share;
  if (value > 0 && value < 0.05) return "<\u00a00.1\u00a0%";
  if (value < 9.95) return value.toFixed(1) + "\u00a0%";
  if (value >= 99.5 && value < 100) return ">\u00a099\u00a0%";
  return value.toFixed(0) + "\u00a0%";
};

// How much of a raw map is positive, and whether it says anything.
const evidenceOf = (raw) => {
  let positive = 0, rest = 0, cells = 0, low = Infinity, high = -Infinity;
  for (const value of raw) {
    if (value > 0) { positive += value; cells += 1; } else rest -= value;
    low = Math.min(low, Math.max(value, 0));
    high = Math.max(high, Math.max(value, 0));
  }
  const share = positive > 0 ? positive / (positive + rest) : 0;
  return { share, area: raw.length ? cells / raw.length : 0, empty: high - low <= 1e-6 * high };
};

const noteOf = ({ share, area, empty }) => {
  if (empty && share > 0) return "empty: the same evidence everywhere, so no place stands out";
  if (empty) return "empty: nothing at this layer answers the question";
  const mass = `${percent(share)} of the map's mass`;
  return share < 0.02 ? `nearly empty: ${mass}` : `${percent(area)} of the picture, ${mass}`;
};

// Where each of `out` pixels lies among `side` cells (bilinear, align_corners = false).
const taps = (side, out) => Array.from({ length: out }, (_, i) => {
  const at = Math.max(((i + 0.5) * side) / out - 0.5, 0);
  const low = Math.min(Math.floor(at), side - 1);
  return [low, Math.min(low + 1, side - 1), at - low];
});

const upsample = (map, [rows, columns], height, width) => {
  const large = new Float32Array(height * width);
  const down = taps(rows, height), across = taps(columns, width);
  for (let y = 0; y < height; y += 1) {
    const [top, bottom, v] = down[y];
    for (let x = 0; x < width; x += 1) {
      const [left, right, h] = across[x];
      const above = map[top * columns + left] * (1 - h) + map[top * columns + right] * h;
      const below = map[bottom * columns + left] * (1 - h) + map[bottom * columns + right] * h;
      large[y * width + x] = above * (1 - v) + below * v;
    }
  }
  return large;
};

const stretched = (map) => {
  let low = Infinity, high = -Infinity;
  for (const value of map) { low = Math.min(low, value); high = Math.max(high, value); }
  return map.map((value) => (value - low) / (high - low));
};

// Draws a raw map over the photograph's pixels; the formulas are those of the pictures in the run folder.
const paint = (canvas, photo, raw, grid, { style, opacity, tables }) => {
  const { width, height } = photo;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const picture = new ImageData(new Uint8ClampedArray(photo.data), width, height);
  const pixels = picture.data;
  const { empty } = evidenceOf(raw);
  const colour = (table, level) => [tables[table][3 * level], tables[table][3 * level + 1], tables[table][3 * level + 2]];
  if (style === "signed") {
    const large = upsample(raw, grid, height, width);
    let most = 0;
    for (const value of large) most = Math.max(most, Math.abs(value));
    large.forEach((value, i) => {
      const v = most > 0 ? value / most : 0;
      const grey = Math.round(0.299 * pixels[4 * i] + 0.587 * pixels[4 * i + 1] + 0.114 * pixels[4 * i + 2]);
      const over = colour("signed", Math.round(127.5 * (1 + Math.sign(v) * 0.5 * (1 + Math.abs(v)))));
      const alpha = (opacity / 0.7) * 0.8 * Math.abs(v);
      for (let c = 0; c < 3; c += 1) pixels[4 * i + c] = grey + Math.min(alpha, 1) * (over[c] - grey);
    });
  } else {
    const heat = empty ? new Float32Array(width * height)
      : stretched(upsample(raw.map((value) => Math.max(value, 0)), grid, height, width));
    if (style === "authors") {
      let most = 0;
      const sums = new Float32Array(3 * heat.length);
      heat.forEach((value, i) => {
        const over = colour("authors", Math.floor(255 * value));
        for (let c = 0; c < 3; c += 1) {
          sums[3 * i + c] = (opacity / 0.7) * over[c] + pixels[4 * i + c];
          most = Math.max(most, sums[3 * i + c]);
        }
      });
      sums.forEach((sum, j) => { pixels[4 * Math.floor(j / 3) + (j % 3)] = Math.floor((255 * sum) / most); });
    } else {
      heat.forEach((value, i) => {
        const over = colour("blend", Math.round(255 * value));
        const edge = Math.min(value / 0.6, 1);
        const alpha = opacity * edge * edge * (3 - 2 * edge);
        for (let c = 0; c < 3; c += 1) pixels[4 * i + c] += alpha * (over[c] - pixels[4 * i + c]);
      });
    }
  }
  context.putImageData(picture, 0, 0);
};

// Pixels of an embedded picture; a small one is enlarged by a whole factor, its pixels as squares.
const pixelsOf = async (url) => {
  const image = new Image();
  image.src = url;
  await image.decode();
  const { naturalWidth, naturalHeight } = image;
  const factor = Math.max(1, Math.floor(384 / Math.max(naturalWidth, naturalHeight)));
  const canvas = element("canvas", { width: factor * naturalWidth, height: factor * naturalHeight });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false;
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return context.getImageData(0, 0, canvas.width, canvas.height);
};

// Builds the explorer inside `root`; one that is begun later takes its place, whichever is ready first. `more`, if given, fetches
// the map of a class that the data lack: index -> Promise of floats; `changed` hears of what is asked; `opacity` and `search` are those of before.
async function explore(root, data, { more = null, changed = () => {}, opacity = 0.7, search: sought = "" } = {}) {
  const own = (root.explorer = {});
  const stale = () => root.explorer !== own;
  const photo = await pixelsOf(data.photo);
  if (stale()) return;
  const [rows, columns] = data.grid;
  const cells = rows * columns;
  const all = floats(data.maps.cam);
  const cams = new Map(data.maps.classes.map((index, i) => [index, all.slice(i * cells, (i + 1) * cells)]));
  const mean = floats(data.maps.mean);
  const tables = Object.fromEntries(Object.entries(data.tables).map(([name, table]) => [name, bytes(table)]));
  const predicted = data.predicted;
  const state = { asked: data.asked, other: data.other, style: data.style, opacity };
  // what was clicked last, whose maps may still be under way
  let wanted = { asked: state.asked, other: state.other };
  let clicks = 0;
  const order = data.probabilities.map((_, index) => index)
    .sort((a, b) => data.probabilities[b] - data.probabilities[a] || a - b);
  const name = (index) => data.classes[index];

  const raw = (question) => {
    const asked = cams.get(state.asked);
    if (question === "why") return asked;
    if (question === "what-if-not") return asked.map((value) => -value);
    const other = cams.get(state.other);
    if (state.asked !== predicted) return asked.map((value, i) => value - other[i]);
    return mean.map((value, i) => value - (other[i] - asked[i]));
  };
  const words = (question) => {
    if (question === "why") return `Why ${name(state.asked)}?`;
    if (question === "what-if-not") return `What if not ${name(state.asked)}?`;
    return `Why ${name(state.asked)}, rather than ${name(state.other)}?`;
  };

  const questions = ["why", "what-if-not"].concat(state.other == null ? [] : ["rather-than"]);
  const figures = questions.map((question) => {
    const canvas = element("canvas", { role: "img" });
    const caption = element("strong");
    const note = element("small");
    const figure = element("figure", { id: question }, canvas, element("figcaption", {}, caption, note));
    return { question, canvas, caption, note, figure };
  });
  const draw = () => {
    for (const { question, canvas, caption, note } of figures) {
      const map = raw(question);
      paint(canvas, photo, map, data.grid, { ...state, tables });
      caption.textContent = words(question);
      note.textContent = noteOf(evidenceOf(map));
      if (question === "rather-than" && state.asked !== predicted) note.textContent += " (pairwise: one map minus the other)";
      canvas.setAttribute("aria-label", `${caption.textContent} ${note.textContent}`);
    }
    changed(state);
    const news = document.getElementById("news");
    if (news) news.textContent = `${name(predicted)} ${percent(data.probabilities[predicted])}. ${figures.map((f) => f.caption.textContent).join(" ")}`;
    for (const row of list.children) {
      const index = Number(row.dataset.index);
      const other = row.querySelector(".other");
      other.setAttribute("aria-pressed", index === state.other);
      other.disabled = state.other == null || index === state.asked;
      other.title = other.disabled ? "" : `Why ${name(state.asked)}, rather than ${name(index)}?`;
      row.querySelector(".asked").setAttribute("aria-pressed", index === state.asked);
    }
  };
  const choose = async (change) => {
    const next = { ...wanted, ...change };
    // a class cannot be told from itself
    if (next.other === next.asked) next.other = change.asked != null ? wanted.asked : wanted.other;
    if (next.other === next.asked) return;
    wanted = next;
    clicks += 1;
    const click = clicks;
    try {
      for (const index of [next.asked, next.other]) {
        if (index != null && !cams.has(index)) cams.set(index, await more(index));
      }
    } catch (error) {
      if (stale() || click !== clicks) return;
      wanted = { asked: state.asked, other: state.other };
      status.textContent = `The map could not be had: ${error.message}`;
      return;
    }
    if (stale() || click !== clicks) return;
    status.textContent = "";
    Object.assign(state, next);
    draw();
  };

  const status = element("p", { role: "status", class: "soft" });
  const list = element("ol", { id: "classes" });
  const shown = 12;
  const fill = (text) => {
    const wanted = text.trim().toLowerCase();
    const known = order.filter((index) => more || cams.has(index));
    const found = known.filter((index) => name(index).toLowerCase().includes(wanted) || String(index) === wanted);
    list.replaceChildren(...found.slice(0, wanted ? 60 : shown).map((index) => {
      const share = data.probabilities[index];
      const row = element("li", { "data-index": index },
        element("button", { type: "button", class: "other", onclick: () => choose({ other: index }) },
          element("span", { class: "class" }, name(index)), element("span", { class: "share" }, percent(share))),
        element("button", { type: "button", class: "asked", "aria-label": `Why ${name(index)}?`,
          onclick: () => choose({ asked: index }) }, "why?"));
      row.style.setProperty("--share", `${100 * share}%`);
      return row;
    }));
    hidden.textContent = found.length > list.children.length
      ? `${found.length - list.children.length} more: search by name or number` : "";
  };
  const hidden = element("p", { class: "soft" });
  const search = element("input", { type: "search", id: "search", placeholder: "a class's name or number", value: sought,
    oninput: (event) => { fill(event.target.value); draw(); } });

  const slider = element("input", { type: "range", id: "opacity", min: 0, max: 100, value: Math.round(100 * opacity),
    oninput: (event) => { state.opacity = event.target.value / 100; draw(); } });
  const styles = element("select", { id: "style", onchange: (event) => { state.style = event.target.value; draw(); } },
    ...[["blend", "blend"], ["authors", "authors' (jet)"], ["signed", "signed"]].map(([value, text]) =>
      element("option", { value, selected: value === state.style }, text)));

  const plain = element("canvas", { role: "img", "aria-label": "The part of the picture that the network saw", width: photo.width, height: photo.height });
  plain.getContext("2d").putImageData(photo, 0, 0);
  const second = data.second_stage;
  const lines = [];
  if (second) {
    const says = second.agrees ? "agrees" : "disagrees";
    lines.push(element("p", { id: "second" }, "On reflection: ", element("strong", {}, name(second.prediction.index)),
      ` ${percent(second.prediction.probability)} (the second stage ${says}).`));
  }
  for (const verdict of data.verdicts ?? []) {
    if (verdict.holds) lines.push(element("p", { class: "verdict" }, verdict.says));
  }
  const facts = element("dl", {}, ...data.facts.flatMap(([key, value]) => [element("dt", {}, key), element("dd", {}, value)]));
  const voice = data.voice && voiceFigure(data.voice, photo, tables);

  fill(sought);
  root.replaceChildren(
    element("p", { id: "prediction" }, element("strong", {}, name(predicted)), ` ${percent(data.probabilities[predicted])}`,
      element("span", { class: "soft" }, ` ${data.image}`)),
    ...lines,
    element("div", { class: "answers" },
      element("figure", {}, plain, element("figcaption", {}, element("strong", {}, "What the network saw"))),
      ...figures.map(({ figure }) => figure), voice),
    element("div", { class: "controls" },
      element("label", {}, "Overlay", slider), element("label", {}, "Style", styles)),
    status,
    element("section", {}, element("h2", {}, "Classes"),
      element("p", { class: "soft" }, "Click a class to see why the answer is not that one; \u201cwhy?\u201d asks about the class itself."),
      element("label", { class: "search" }, "Search", search), list, hidden),
    element("details", {}, element("summary", {}, "How this was made"), facts));
  draw();
}

// How far the contrasts of all classes differ, place by place.
const voiceFigure = (voice, photo, tables) => {
  const [height, width] = voice.shape;
  const map = Float32Array.from(bytes(voice.map), (level) => level / 255);
  const canvas = element("canvas", { role: "img" });
  paint(canvas, photo, map, [height, width], { style: "blend", opacity: 0.7, tables });
  const note = `variance over the maps of all contrasts; SNR ${voice.snr}, overlap with the answer ${voice.iou}`;
  canvas.setAttribute("aria-label", `Uncertainty of the explanation: ${note}`);
  return element("figure", { id: "voice" }, canvas,
    element("figcaption", {}, element("strong", {}, "Where is the explanation unsure?"), element("small", {}, note)));
};
