/* Move through the frames of a training: by hand, or as a film.

   All frames are in one picture a seed, which book/cgnbook/film.py puts here with their losses and
   with the digits that are read in each. */
(function () {
  "use strict";

  const FRAME_MS = 350;
  const root = document.querySelector(".film");
  if (!root) return;

  const steps = JSON.parse(root.dataset.steps), last = steps.length - 1;
  const seeds = [...root.querySelectorAll(".film-seed")].map((box) => {
    const digits = Live.element("div", { class: "film-digits", "aria-hidden": "true" },
      ...Array.from({ length: 10 }, (_, y) => Live.element("span", {}, y)));
    const frame = box.querySelector(".live-now .film-frame");
    frame.after(digits);
    box.classList.add("live-on");
    const losses = [...box.querySelectorAll(".film-loss")].map((loss) =>
      ({ value: loss.querySelector("b"), values: JSON.parse(loss.dataset.values) }));
    return { name: box.ariaLabel, frame, digits: [...digits.children], losses,
      read: JSON.parse(box.dataset.read) };
  });
  const play = Live.button("Play", () => (timer ? stop() : start()), "live-first");
  const slider = Live.slider("Step of the training", last, (k) => { stop(); show(k); rest(); });
  const step = Live.element("span", { "aria-hidden": "true" });
  const said = Live.element("p", { class: "live-said", "aria-live": "polite" });
  let now = 0, timer = null;

  function show(k) {
    now = Math.min(k, last);
    root.style.setProperty("--k", now);
    slider.value = now;
    step.textContent = `step ${steps[now].toLocaleString("en")}`;
    slider.setAttribute("aria-valuetext", step.textContent);
    for (const { name, frame, digits, losses, read } of seeds) {
      frame.style.setProperty("--k", now);
      frame.alt = `Masks and compositions of ten digits, ${name}, ${step.textContent}`;
      digits.forEach((digit, y) => digit.classList.toggle("film-lost", !read[now].includes(y)));
      for (const { value, values } of losses) value.textContent = values[now].toPrecision(2);
    }
  }

  function rest() {
    said.textContent = `Step ${steps[now]}. ` + seeds.map(({ name, read }) =>
      `${name}: ${read[now].length} of ten digits are read.`).join(" ");
    address.keep(now);
  }

  function start() {
    if (now === last) show(0);
    play.textContent = "Pause";
    timer = setInterval(() => {
      show(now + 1);
      if (now === last) stop();
    }, FRAME_MS);
  }

  function stop() {
    if (timer) rest();
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  }

  const address = Live.address(root, "film", (k) => { stop(); show(k); });
  root.append(Live.element("div", { class: "live-bar" }, play, slider, step), said);
  if (!address.read()) show(last);
})();
