/* Draw a digit, paint it, ask both classifiers.

   Loaded after engine.js, the weights, pen.js and maker.js, by the pages that have a `.painter`.  The
   strokes make the mask, the CGN makes texture and background, and both classifiers are asked about
   the very bytes that are shown.  With `data-doors` the CGN makes the mask as well, to be painted
   on, and the noise of each mechanism can be turned. */
(function () {
  "use strict";

  const CUES = ["digit", "texture", "background"];
  const SYMBOLS = { digit: "mask m", texture: "texture f", background: "background b" };
  const SUBJECTS = { "cnn-wildlife-original": "originals", "cnn-wildlife-cgn": "counterfactuals" };
  const PAD = 384, VIEW = 128, WRITING_MS = 600;
  const { element, button } = Live;
  const root = document.querySelector(".painter");
  if (!root || !window.Worker || !window.WEIGHTS) return;

  const doors = "doors" in root.dataset;
  const engine = Engine.start(window.WEIGHTS), part = Maker.parts(engine);
  const tries = new Set(), fooled = Object.fromEntries(Object.keys(SUBJECTS).map((name) => [name, 0]));
  // own: strokes by hand, null while the digit is written by the page.  maker: of the mask
  let state = { digit: 3, texture: 7, background: 1, seed: 1, own: null,
    maker: doors ? "cgn" : "pen", turns: { digit: 0, texture: 0, background: 0 } };
  let strokes = []; // as they are on the pad
  let seen = null; // what was answered last
  const wanted = (cue, now = state) => part(cue, now[cue], now.seed, now.turns[cue]);

  /* ---- the page ---- */

  function tick(words, act, on) {
    const box = element("input", { type: "checkbox" });
    box.checked = on;
    box.addEventListener("change", act);
    return [box, element("label", {}, box, ` ${words}`)];
  }

  const pad = element("canvas", { class: "painter-pad", width: PAD, height: PAD, role: "img" });
  const prompt = element("p", { class: "painter-prompt", "aria-hidden": "true" });
  const said = element("p", { class: "live-said", "aria-live": "polite" });
  const link = Live.link("Link to this picture");
  const [heat, heatLabel] = tick("show where each looks", () => seen && show(), true);
  const [eraser, eraserLabel] = tick("erase", () => {}, false);
  const [own, ownLabel] = tick("mask by the CGN",
    () => choose({ maker: own.checked ? "cgn" : "pen", own: null }), doors);
  const cards = Object.entries(SUBJECTS).map(([key, name]) => card(key, name));

  function card(key, name) {
    const view = element("canvas", { width: VIEW, height: VIEW, role: "img" });
    const count = element("p", { class: "painter-count" }), made = Live.card(key, name);
    made.box.prepend(view);
    made.box.append(count);
    return { ...made, view, count };
  }

  /* Ten radio buttons for the classes of a cue; those of textures and backgrounds show them. */
  function picker(cue) {
    const labels = Array.from({ length: 10 }, (_, label) => [element("span", {}, label)]);
    const grid = element("div", { class: "painter-classes live-classes" },
      ...Live.choices(`painter-${cue}`, labels, (label) =>
        choose({ [cue]: label, ...(cue === "digit" && { own: null }) })));
    return element("fieldset", { "data-cue": cue }, element("legend", {}, cue), grid);
  }

  /* What a mechanism makes now, and the noise that it makes it of. */
  function mechanism(cue) {
    const turn = Live.slider(`Noise of the ${SYMBOLS[cue]}`, Maker.TURNS - 1, (step) => {
      state = { ...state, turns: { ...state.turns, [cue]: step } };
      refresh();
    });
    turn.addEventListener("change", () => rest());
    const view = element("canvas", { width: 32, height: 32, role: "img", "aria-label": SYMBOLS[cue] });
    return element("div", { class: "painter-mechanism", "data-cue": cue }, view,
      element("span", { "aria-hidden": "true" }, SYMBOLS[cue]), turn);
  }

  const chip = (cue, label) =>
    root.querySelector(`fieldset[data-cue="${cue}"] label:nth-child(${label + 1})`);

  /* Show what a class of textures or backgrounds looks like on its button. */
  function dress(cue, label, x) {
    const at = chip(cue, label), shown = element("canvas", { width: 32, height: 32, "aria-hidden": "true" });
    shown.getContext("2d").drawImage(Maker.picture(x), 0, 0);
    at.querySelector("canvas")?.remove();
    at.querySelector("input").after(shown);
  }

  /* ---- drawing ---- */

  /* The pad: strokes as they were drawn, filled with the texture, on the background. */
  function paint({ texture, background }) {
    const context = pad.getContext("2d"), layer = element("canvas", { width: PAD, height: PAD });
    const pen = layer.getContext("2d");
    pen.lineCap = pen.lineJoin = "round";
    pen.lineWidth = Pen.width * PAD;
    for (const points of strokes) {
      pen.beginPath();
      points.forEach(([x, y], i) => pen[i ? "lineTo" : "moveTo"](x * PAD, y * PAD));
      pen.lineTo(points.at(-1)[0] * PAD, points.at(-1)[1] * PAD); // a dot is a line, too
      pen.stroke();
    }
    pen.globalCompositeOperation = "source-in";
    pen.imageSmoothingEnabled = context.imageSmoothingEnabled = false;
    pen.drawImage(Maker.picture(texture), 0, 0, PAD, PAD);
    context.drawImage(Maker.picture(background), 0, 0, PAD, PAD);
    context.drawImage(layer, 0, 0);
  }

  function enlarge(canvas, x) {
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(Maker.picture(x), 0, 0, canvas.width, canvas.height);
  }

  /* The image as the classifier saw it; where its heat map is low, it lies in the dark. */
  function look(canvas, image, map) {
    enlarge(canvas, image);
    const high = Math.max(...map), side = Math.sqrt(map.length), context = canvas.getContext("2d");
    if (!heat.checked || !high) return;
    const dark = new ImageData(side, side), small = element("canvas", { width: side, height: side });
    map.forEach((value, i) => { dark.data[4 * i + 3] = 170 * (1 - Math.sqrt(value / high)); });
    small.getContext("2d").putImageData(dark, 0, 0);
    context.imageSmoothingEnabled = true;
    context.drawImage(small, 0, 0, VIEW, VIEW);
  }

  /* ---- asking ---- */

  let running = null, stale = false;

  /* Ask about what is on the pad; while the worker is at it, only the latest wish is kept. */
  function refresh() {
    stale = true;
    if (seen && seen.now.texture === state.texture && seen.now.background === state.background
      && state.maker === "pen") paint(seen.made); // the pen does not wait for answers
    return (running ??= ask().finally(() => { running = null; }));
  }

  async function ask() {
    while (stale) {
      stale = false;
      const now = { ...state, strokes: strokes.map((points) => [...points]) };
      const made = { texture: await wanted("texture", now), background: await wanted("background", now) };
      made.digit = now.maker === "cgn"
        ? Pen.over(await wanted("digit", now), now.strokes)
        : Pen.mask(now.strokes);
      const image = Maker.compose(made.digit, made.texture, made.background);
      if (now.maker === "cgn") enlarge(pad, image);
      else paint(made);
      const answers = await Promise.all(cards.map(({ key }) => engine.ask("classify", key, image)));
      seen = { now, made, image, answers: answers.map(({ found }) => found) };
      root.dataset.ms = answers.reduce((sum, { ms }) => sum + ms, 0).toFixed(1);
      show();
    }
  }

  const whose = (now, label) => CUES.filter((cue) => now[cue] === label);

  function show() {
    const { now, made, image, answers } = seen;
    answers.forEach(({ p, heat: map }, i) => {
      look(cards[i].view, image, map);
      cards[i].view.setAttribute("aria-label",
        `The image${heat.checked ? ", lit where this classifier looks" : ""}`);
      cards[i].tell(p, (label) => whose(now, label));
    });
    root.querySelectorAll(".painter-mechanism").forEach((box) =>
      enlarge(box.querySelector("canvas"), made[box.dataset.cue]));
  }

  /* When the pen rests: count, tell, and put all of it into the address. */
  async function rest(told = true) {
    await refresh();
    if (moving) return;
    const { now, answers } = seen, code = address(now);
    const shown = now.maker === "cgn" || now.strokes.length;
    if (shown && now.digit !== now.texture && now.digit !== now.background && !tries.has(code)) {
      tries.add(code);
      answers.forEach(({ p }, i) => {
        const label = Live.first(p), paint = label === now.texture || label === now.background;
        fooled[cards[i].key] += paint && label !== now.digit;
      });
    }
    for (const { key, count } of cards) count.textContent = `fooled ${fooled[key]} of ${tries.size}`;
    for (const cue of CUES.slice(1)) dress(cue, now[cue], seen.made[cue]);
    said.textContent = `${now.own ? "Your" : "A"} ${now.digit} in the texture of ${now.texture}, `
      + `before the background of ${now.background}. ` + cards.map(({ name, answer, cue }) =>
      `Learned from ${name}: ${answer.textContent}, ${cue.textContent}.`).join(" ");
    link.href = `#${code}`;
    if (told) history.replaceState(null, "", `#${code}`);
    root.dataset.rests = code;
  }

  /* ---- the address: classes and seed, strokes of the reader, maker and turns of the noise ---- */

  function address({ digit, texture, background, seed, own, maker, turns }) {
    const noise = Object.values(turns).map((turn) => String(turn).padStart(2, "0")).join("");
    return `paint=${digit}${texture}${background}.${seed}${own?.length ? `.${Pen.write(own)}` : ""}`
      + (doors ? `.${maker}${noise}` : "");
  }

  function addressed() {
    const form = /^#paint=(\d)(\d)(\d)\.(\d{1,6})(?:\.((?:[~!](?:[\w-]{2})+)+))?(?:\.(pen|cgn)((?:\d\d){3}))?$/;
    const found = form.exec(location.hash);
    if (!found) return null;
    const [digit, texture, background, seed] = found.slice(1, 5).map(Number);
    const [strokes, maker, noise] = found.slice(5);
    const turns = (noise || "000000").match(/../g).map((turn) => turn % Maker.TURNS);
    return { digit, texture, background, seed, own: strokes ? Pen.read(strokes) : null,
      maker: (doors && maker) || state.maker,
      turns: doors ? Object.fromEntries(CUES.map((cue, i) => [cue, turns[i]])) : state.turns };
  }

  /* ---- choosing ---- */

  let moving = null; // the writing that is under way

  /* Change what is chosen, and write the digit unless the strokes are the reader's. */
  async function choose(changed, told = true) {
    const before = state;
    state = { ...state, ...changed };
    for (const cue of CUES) chip(cue, state[cue]).querySelector("input").checked = true;
    root.querySelectorAll(".painter-mechanism").forEach((box) => {
      box.querySelector("input").value = state.turns[box.dataset.cue];
    });
    own.checked = state.maker === "cgn";
    eraserLabel.hidden = !own.checked;
    prompt.textContent = own.checked ? "Paint on the mask" : `Draw a ${state.digit} here`;
    pad.setAttribute("aria-label", `Drawing pad with a ${state.digit}; the buttons below draw as well`);
    if (["digit", "seed", "own", "maker"].some((key) => state[key] !== before[key])) {
      const whole = own.checked ? [] : Pen.written(state.digit, Maker.chance(state.seed));
      if (state.own || Live.still || own.checked) strokes = state.own || whole;
      else await write(whole);
    }
    return rest(told);
  }

  /* Let the strokes appear as a pen would leave them. */
  function write(whole) {
    const points = whole.flat().length, start = performance.now(), mine = (moving = {});
    return new Promise((done) => requestAnimationFrame(function step(time) {
      if (mine !== moving) return; // something else is drawn meanwhile
      const share = Math.min(Math.max(time - start, 0) / WRITING_MS, 1);
      let left = Math.ceil(points * share);
      strokes = whole.map((line) => line.slice(0, Math.max(left, 0), (left -= line.length)))
        .filter((line) => line.length);
      refresh();
      if (share < 1) return requestAnimationFrame(step);
      moving = null;
      done();
    }));
  }

  function surprise() {
    const order = [...Array(10).keys()].map((y) => [Math.random(), y]).sort(([a], [b]) => a - b);
    const [digit, texture, background] = order.map(([, y]) => y);
    choose({ digit, texture, background, seed: 2 + Math.floor(Math.random() * 9998), own: null });
  }

  function clear() {
    moving = null;
    choose({ own: [] });
  }

  function place({ clientX, clientY }) {
    const { left, top, width, height } = pad.getBoundingClientRect();
    return [(clientX - left) / width, (clientY - top) / height]
      .map((value) => Math.min(Math.max(value, 0), 1));
  }

  pad.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    pad.setPointerCapture(event.pointerId);
    moving = null;
    const takes = own.checked && eraser.checked ? [1] : [];
    state.own = strokes = [...(state.own || []), [[...place(event), ...takes]]];
    refresh();
  });
  pad.addEventListener("pointermove", (event) => {
    if (!pad.hasPointerCapture(event.pointerId)) return;
    const line = strokes.at(-1);
    for (const each of event.getCoalescedEvents?.() ?? [event]) {
      const [x, y] = place(each), [a, b] = line.at(-1);
      if (Math.hypot(x - a, y - b) > 0.012) line.push([x, y]);
    }
    refresh();
  });
  for (const end of ["pointerup", "pointercancel"])
    pad.addEventListener(end, () => { if (state.own) rest(); });

  window.addEventListener("hashchange", () => {
    const asked = addressed();
    if (asked && address(asked) !== root.dataset.rests) choose(asked);
  });

  root.append(element("div", { class: "live-now" },
    element("div", { class: "painter-stage" },
      element("div", { class: "painter-easel" }, pad, prompt),
      element("div", { class: "painter-cards" }, ...cards.map(({ box }) => box))),
    element("div", { class: "live-bar" },
      button("Surprise me", surprise, "live-first"), button("Clear", clear), heatLabel,
      ...(doors ? [ownLabel, eraserLabel] : []), link),
    ...(doors ? [element("div", { class: "painter-mechanisms" }, ...CUES.map(mechanism))] : []),
    element("div", { class: "painter-pickers" }, ...CUES.map(picker)), said));

  const opening = addressed() || state;
  state = { ...state, seed: -1 };
  choose(opening, false).then(async () => {
    root.classList.add("live-on");
    for (const cue of CUES.slice(1))
      for (let label = 0; label < 10; label++)
        if (label !== state[cue]) dress(cue, label, await part(cue, label, 1, 0));
  });
})();
