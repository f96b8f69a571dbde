/* Fade a real background to a generated one, and ask three classifiers at every step.

   Loaded after engine.js and the weights.  The pictures of both ends are those of the table that
   stands here without scripts; book/cgnbook/gate.py writes it and fades as this does. */
(function () {
  "use strict";

  const SUBJECTS = { "cnn-wildlife-original": "originals", "cnn-wildlife-cgn": "counterfactuals",
    "cnn-wildlife-union": "both" };
  const CUES = ["digit", "texture", "background"];
  const STEPS = 40, SIZE = 32, PIXELS = SIZE * SIZE;
  const { element } = Live;
  const root = document.querySelector(".gate");
  if (!root || !window.Worker || !window.WEIGHTS) return;

  const engine = Engine.start(window.WEIGHTS);
  const rows = [...root.querySelectorAll("tr")].map((row) => [...row.querySelectorAll("img")])
    .filter((row) => row.length);
  const scenes = rows[0].map((real, i) => ({
    ends: [real, rows[1][i]], words: real.alt,
    classes: real.alt.match(/\d/g).map(Number), // of digit, texture, background
    asked: new Map(),
  }));
  let now = { scene: 3, step: 0 };
  let swept = null; // the scene whose strips are shown

  const view = element("canvas", { width: SIZE, height: SIZE, role: "img" });
  const cards = Object.entries(SUBJECTS).map(([key, name]) => Live.card(key, name));
  const strips = cards.map(() => element("div", { class: "gate-strip", "aria-hidden": "true" },
    ...Array.from({ length: STEPS + 1 }, () => element("i"))));
  const mark = strips.at(-1).appendChild(element("b"));
  const key = element("ul", { class: "gate-key" }, ...[...CUES, "none"].map((cue) =>
    element("li", { "data-cue": cue }, element("i"), cue === "none" ? "none of the three" : `the ${cue}`)));
  const slider = Live.slider("From the real background to the generated one", STEPS,
    (step) => enter(now.scene, step));
  const tip = element("p", { class: "gate-tip live-title" });
  const said = element("p", { class: "live-said", "aria-live": "polite" });
  const chips = Live.choices("gate-scene", scenes.map(({ ends: [real], classes }) =>
    [real.cloneNode(), element("span", {}, classes[0])]), (scene) => enter(scene, now.step).then(rest));
  chips.forEach((chip, i) => chip.querySelector("input").setAttribute("aria-label", scenes[i].words));

  /* ---- pictures ---- */

  /* The bytes of a picture of the page, [4 * 32 * 32]. */
  async function bytes(image) {
    await image.decode();
    const canvas = element("canvas", { width: SIZE, height: SIZE }), context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, SIZE, SIZE).data;
  }

  /* The picture at a step, as ImageData and as the engine has it. */
  async function faded({ ends }, step) {
    const [real, made] = await Promise.all(ends.map(bytes));
    const shown = new ImageData(SIZE, SIZE), image = new Float64Array(3 * PIXELS);
    for (let i = 0; i < real.length; i++)
      shown.data[i] = Math.floor(real[i] + ((made[i] - real[i]) * step) / STEPS + 0.5);
    for (let i = 0; i < image.length; i++)
      image[i] = shown.data[4 * (i % PIXELS) + Math.floor(i / PIXELS)] / 127.5 - 1;
    return { shown, image };
  }

  /* What all say at a step; a question is asked once. */
  function ask(scene, step) {
    if (!scene.asked.has(step)) scene.asked.set(step, faded(scene, step).then(async ({ shown, image }) => {
      const found = await Promise.all(cards.map(({ key }) => engine.ask("classify", key, image)));
      return { shown, p: found.map(({ found: { p } }) => p) };
    }));
    return scene.asked.get(step);
  }

  const whose = ({ classes }, label) => CUES.filter((_, i) => classes[i] === label);

  /* ---- showing ---- */

  async function enter(scene, step) {
    now = { scene: scene % scenes.length, step: Math.min(step, STEPS) };
    const mine = now, of = scenes[now.scene], { shown, p } = await ask(of, now.step);
    if (mine !== now) return; // the slider has gone on
    slider.value = now.step;
    chips[now.scene].querySelector("input").checked = true;
    const share = `${Math.round((100 * now.step) / STEPS)}%`;
    slider.setAttribute("aria-valuetext", `${share} generated`);
    view.getContext("2d").putImageData(shown, 0, 0);
    view.setAttribute("aria-label", `${of.words.split(",")[0]}, background ${share} generated`);
    cards.forEach(({ tell }, i) => tell(p[i], (label) => whose(of, label)));
    if (swept !== of) sweep((swept = of));
  }

  /* Ask at every step, colour the strips, and mark where the last classifier tips. */
  async function sweep(of) {
    const answers = [];
    tip.textContent = "Asking at every step …"; // what stood here was about another picture
    mark.hidden = true;
    for (const cell of root.querySelectorAll(".gate-strip i")) delete cell.dataset.cue;
    for (let step = 0; step <= STEPS; step++) {
      const { p } = await ask(of, step);
      if (of !== scenes[now.scene]) return;
      answers.push(p.map(Live.first));
      strips.forEach((strip, i) => {
        strip.children[step].dataset.cue = whose(of, answers[step][i])[0] || "none";
      });
    }
    let at = STEPS + 1;
    while (at && answers[at - 1].at(-1) === of.classes[0]) at--;
    mark.hidden = at > STEPS;
    mark.style.left = `${(100 * (at + 0.5)) / (STEPS + 1)}%`;
    tip.textContent = at > STEPS ? "The classifier of both does not tip to the digit."
      : `The classifier of both tips to the digit at ${Math.round((100 * at) / STEPS)}%.`;
    root.dataset.swept = now.scene;
  }

  /* When the slider rests: tell, and put it into the address. */
  function rest() {
    said.textContent = `${view.getAttribute("aria-label")}. ` + cards.map(({ name, answer, cue }) =>
      `Learned from ${name}: ${answer.textContent}, ${cue.textContent}.`).join(" ");
    address.keep(now.scene, now.step);
    root.dataset.rests = `${now.scene}.${now.step}`;
  }

  const address = Live.address(root, "gate", (scene, step = 0) => enter(scene, step));
  slider.addEventListener("change", () => ask(scenes[now.scene], now.step).then(rest));
  root.append(element("div", { class: "live-now" },
    element("div", { class: "gate-stage" },
      element("div", { class: "gate-picture" }, view),
      element("div", { class: "gate-cards" }, ...cards.map(({ box }) => box))),
    element("div", { class: "gate-track" },
      ...cards.flatMap(({ name }, i) => [element("span", {}, name), strips[i]]),
      element("span", {}, "background"), element("div", {}, slider,
        element("div", { class: "gate-ends", "aria-hidden": "true" },
          element("span", {}, "real"), element("span", {}, "generated")))),
    key, tip,
    element("fieldset", {}, element("legend", {}, "picture"),
      element("div", { class: "gate-scenes live-classes" }, ...chips)), said));
  root.classList.add("live-on");
  if (!address.read()) enter(now.scene, now.step);
})();
