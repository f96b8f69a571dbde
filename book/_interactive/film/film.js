/* Play the trainings of a CGN: what each draws at a moment, with a cursor in its losses.

   The pictures are those of the strips that stand here without scripts, a row for each moment;
   book/cgnbook/film.py writes them. */
(function () {
  "use strict";

  const CLASSES = 10, SIZE = 32, PAUSE = 220; // milliseconds between two moments
  const { element } = Live;
  const root = document.querySelector(".film");
  if (!root) return;

  const films = [...root.querySelectorAll(".film-training")].map((box) => {
    const steps = box.dataset.steps.split(" ").map(Number);
    const views = Array.from({ length: CLASSES }, () => element("canvas", { width: SIZE, height: SIZE }));
    const marks = views.map(() => element("span"));
    const digits = element("div", { class: "film-digits", role: "img" },
      ...views.map((view, digit) => element("div", {}, view, marks[digit])));
    const plot = box.querySelector(".film-losses");
    const cursor = document.createElementNS(plot.namespaceURI, "path");
    cursor.classList.add("film-cursor");
    plot.append(cursor);
    box.querySelector(".live-title").after(element("div", { class: "live-now" }, digits));
    box.classList.add("live-on");
    return { box, steps, views, marks, digits, plot, cursor, strip: box.querySelector("img"),
      told: box.querySelector(".film-read"),
      read: box.dataset.read.split(" ").map((moment) => [...moment].map(Number)) };
  });
  const last = films[0].steps.length - 1;
  let now = last, playing = 0;

  const slider = Live.slider("Moment of the training", last, (moment) => { stop(); show(moment); });
  const button = Live.button("Play", () => (playing ? stop() : play()), "live-first");
  const where = element("output", { class: "film-step" });
  const said = element("p", { class: "live-said", "aria-live": "polite" });

  /* How many digits are read at a moment, as ticks and crosses say; nothing is before training. */
  const count = ({ steps, read }) => (steps[now]
    ? `${read[now].filter(Boolean).length} of ${CLASSES} read` : "not trained yet");
  const words = (film) => {
    const kept = film.read[now].flatMap((is, digit) => (is ? [digit] : []));
    return `${count(film)}${film.steps[now] && kept.length ? `: ${kept.join(", ")}` : ""}`;
  };

  function show(moment) {
    now = Math.min(moment, last);
    slider.value = now;
    for (const film of films) {
      const { steps, views, marks, digits, plot, cursor, strip, read, told } = film;
      const { width } = plot.viewBox.baseVal, left = +plot.dataset.left;
      views.forEach((view, digit) => view.getContext("2d")
        .drawImage(strip, digit * SIZE, now * SIZE, SIZE, SIZE, 0, 0, SIZE, SIZE));
      digits.setAttribute("aria-label", `Step ${steps[now]}, ${words(film)}`);
      told.textContent = count(film);
      cursor.setAttribute("d", `M${left + ((width - left) * steps[now]) / steps[last]} 0V${plot.dataset.foot}`);
      marks.forEach((mark, digit) => {
        mark.textContent = steps[now] ? `${digit} ${read[now][digit] ? "✓" : "✗"}` : digit;
        mark.dataset.lost = !steps[now] || !read[now][digit];
      });
    }
    const step = (at) => films[0].steps[at].toLocaleString("en");
    where.textContent = `Step ${step(now)} of ${step(last)}`;
    slider.setAttribute("aria-valuetext", where.textContent);
  }

  function play(asked = true) {
    if (now === last) show(0);
    button.textContent = "Pause";
    playing = setInterval(() => (now < last ? show(now + 1) : rest(asked)), PAUSE);
  }

  function stop() {
    clearInterval(playing);
    playing = 0;
    button.textContent = "Play";
  }

  /* When it stands still: tell, and put it into the address, if a reader asked for it. */
  function rest(asked) {
    stop();
    said.textContent = `${where.textContent}. `
      + films.map((film) => `${film.box.ariaLabel}: ${words(film)}.`).join(" ");
    if (asked) address.keep(now);
    root.dataset.rests = now;
  }

  const address = Live.address(root, "film", (moment) => { stop(); show(moment); });
  slider.addEventListener("change", () => rest(true));
  root.prepend(element("div", { class: "film-bar live-now" }, button, slider, where, said));
  root.classList.add("live-on");

  /* It plays once when it is seen, unless the reader wants no motion or a certain moment. */
  function begin() {
    show(last);
    if (address.read() || Live.still) return;
    const seen = new IntersectionObserver(([{ isIntersecting }]) => {
      if (!isIntersecting) return;
      seen.disconnect();
      if (now === last) play(false);
    }, { threshold: 0.6 });
    seen.observe(root);
  }
  Promise.all(films.map(({ strip }) => strip.decode())).then(begin);
})();
