/* The composer: choose a shape, a texture and a background, and see the counterfactual.

   Loaded by its own page alone.  The page carries the mechanisms' outputs as bytes and, for every
   combination, the answers of the classifiers; book/cgnbook/chapters/composer.py packs both.  An
   image is composed as they saw it: m*f + (255-m)*b of whole numbers, divided by 255, rounded. */
(function () {
  "use strict";

  const CUES = ["shape", "texture", "background"];
  const PANELS = { shape: "mask m", texture: "texture f", background: "background b" };
  const { element, button } = Live;
  const root = document.querySelector(".composer");
  const source = document.getElementById("composer-data");
  if (!root || !source || !("DecompressionStream" in window)) return;

  const worlds = JSON.parse(source.textContent);
  let world = null;
  let wanted = null; // the world that was asked for last
  const chosen = {}; // by cue: the class and its sample, from 0

  /* ---- data ---- */

  async function inflate(text) {
    const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  /* Cut the bytes of a world into parts and answers, in the order in which they were packed. */
  async function open(described) {
    if (described.bytes) return described;
    described.bytes = await inflate(described.data);
    const pixels = described.size ** 2;
    const n = described.n = described.classes.shape.length * described.samples;
    let start = 0;
    const take = (length) => described.bytes.subarray(start, (start += length));
    described.shape = take(n * pixels);
    described.texture = take(n * 3 * pixels);
    described.background = take(n * 3 * pixels);
    for (const subject of described.subjects) {
      subject.label = take(n ** 3);
      subject.percent = take(n ** 3);
    }
    return described;
  }

  /* Where the chosen sample of a cue lies among the parts. */
  function place(cue, label = chosen[cue].label) {
    return label * world.samples + chosen[cue].sample;
  }

  /* The value of a part at a channel and a pixel; a mask has one channel. */
  function reader(cue, index) {
    const pixels = world.size ** 2;
    const bytes = world[cue];
    if (cue === "shape") return (channel, i) => bytes[index * pixels + i];
    return (channel, i) => bytes[(index * 3 + channel) * pixels + i];
  }

  function composed() {
    const [m, f, b] = CUES.map((cue) => reader(cue, place(cue)));
    return (channel, i) =>
      Math.floor((m(0, i) * f(channel, i) + (255 - m(0, i)) * b(channel, i) + 127) / 255);
  }

  /* ---- drawing ---- */

  function paint(canvas, value) {
    const size = world.size;
    canvas.width = canvas.height = size;
    const image = new ImageData(size, size);
    for (let i = 0; i < size * size; i++) {
      for (let channel = 0; channel < 3; channel++) image.data[4 * i + channel] = value(channel, i);
      image.data[4 * i + 3] = 255;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  function panel(part, words) {
    const canvas = element("canvas", { role: "img", "data-part": part, "aria-label": words });
    return element("div", { class: `composer-panel composer-${part}` }, canvas,
      element("span", { "aria-hidden": "true" }, words));
  }

  /* Ten radio buttons that show their parts, and a button that goes to the next sample. */
  function picker(cue) {
    const box = element("fieldset", { "data-cue": cue }, element("legend", {}, cue));
    const labels = world.classes[cue].map((name) =>
      [element("canvas", { "aria-hidden": "true" }), element("span", {}, name)]);
    const grid = element("div", { class: "composer-classes live-classes" },
      ...Live.choices(`composer-${cue}`, labels, (label) => choose(cue, label)));
    box.append(grid);
    if (world.samples > 1) {
      const next = element("button", { type: "button", class: "composer-sample" });
      next.addEventListener("click", () => {
        chosen[cue].sample = (chosen[cue].sample + 1) % world.samples;
        show();
      });
      box.append(next);
    }
    return box;
  }

  /* ---- words ---- */

  const digits = () => world.name !== "menagerie";

  function scene() {
    const [shape, texture, background] = CUES.map((cue) => world.classes[cue][chosen[cue].label]);
    return digits()
      ? `A ${shape} in the texture of ${texture}, before the background of ${background}.`
      : `Shape ${shape}, texture ${texture}, background ${background}.`;
  }

  /* Whose class an answer is. */
  function follows(label) {
    const same = CUES.filter((cue) => chosen[cue].label === label);
    if (same.length === 3) return "the class of all three";
    if (same.length === 0) return "the class of none of the three";
    return `the class of the ${same.join(" and of the ")}`;
  }

  function answer(subject) {
    const [s, t, b] = CUES.map((cue) => place(cue));
    const index = (s * world.n + t) * world.n + b;
    const label = subject.label[index];
    const right = chosen[subject.cue].label === label;
    const name = world.classes.shape[label];
    return element("li", { "data-subject": subject.key, class: right ? "right" : "wrong" },
      `${subject.name}: `, element("strong", {}, name),
      ` (${subject.percent[index]}%), ${follows(label)}.`);
  }

  /* ---- the page ---- */

  function choose(cue, label) {
    chosen[cue].label = label;
    show();
  }

  /* Draw everything that a choice changes. */
  function show() {
    for (const cue of CUES) {
      paint(root.querySelector(`canvas[data-part="${cue}"]`), reader(cue, place(cue)));
      const box = root.querySelector(`fieldset[data-cue="${cue}"]`);
      box.querySelectorAll("input").forEach((input, label) => {
        input.checked = label === chosen[cue].label;
        paint(input.nextElementSibling, reader(cue, place(cue, label)));
      });
      const next = box.querySelector("button");
      if (next) next.textContent = `Sample ${chosen[cue].sample + 1} of ${world.samples}: next`;
    }
    const result = root.querySelector('canvas[data-part="composed"]');
    paint(result, composed());
    result.setAttribute("aria-label", `composed image: ${scene()}`);
    root.querySelector(".composer-scene").textContent = scene();
    root.querySelector(".composer-answers").replaceChildren(...world.subjects.map(answer));
  }

  const random = (n) => Math.floor(Math.random() * n);

  function shuffle() {
    for (const cue of CUES) {
      chosen[cue] = { label: random(world.classes[cue].length), sample: random(world.samples) };
    }
    show();
  }

  function agree() {
    for (const cue of CUES) chosen[cue].label = chosen.shape.label;
    show();
  }

  function chooser() {
    const select = element("select", { id: "composer-world" });
    worlds.forEach((each, i) => select.append(element("option", { value: i }, each.title)));
    select.addEventListener("change", () => enter(worlds[select.value]));
    return element("label", { for: "composer-world" }, "World ", select);
  }

  /* The first three different classes, counted by shape, texture and background, of which the first
     classifier goes with texture or background and every other with its own cue; if there are. */
  function telling() {
    const [first, ...others] = world.subjects, classes = [...world.classes.shape.keys()];
    const said = (subject, of) => subject.label[of.reduce((index, label) =>
      index * world.n + label * world.samples, 0)];
    for (const s of classes) for (const t of classes) for (const b of classes) {
      if (s === t || t === b || b === s) continue;
      if ([t, b].includes(said(first, [s, t, b])) && others.every((subject) =>
        said(subject, [s, t, b]) === [s, t, b][CUES.indexOf(subject.cue)])) return [s, t, b];
    }
    return CUES.map((cue) => chosen[cue].label);
  }

  /* Show another world, opened where its classifiers tell cues apart, with the first samples. */
  async function enter(described) {
    wanted = described;
    await open(described);
    if (described !== wanted) return; // another was asked for meanwhile
    world = described;
    telling().forEach((label, i) => { chosen[CUES[i]] = { label, sample: 0 }; });
    root.querySelector(".composer-pickers").replaceChildren(...CUES.map(picker));
    show();
  }

  CUES.forEach((cue, i) => (chosen[cue] = { label: [3, 7, 1][i], sample: 0 }));
  root.append(
    element("div", { class: "live-bar" }, chooser(),
      button("Shuffle", shuffle), button("Make all three agree", agree)),
    element("div", { class: "composer-stage" }, ...CUES.map((cue) => panel(cue, PANELS[cue])),
      panel("composed", "m·f + (1−m)·b")),
    element("div", { class: "composer-said", "aria-live": "polite", "aria-atomic": "true" },
      element("p", { class: "composer-scene" }), element("ul", { class: "composer-answers" })),
    element("div", { class: "composer-pickers" }));
  enter(worlds[0]).then(() => (root.hidden = false));
})();
