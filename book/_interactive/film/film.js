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
    const view = element("canvas", { width: CLASSES * SIZE, height: SIZE, role: "img" });
    const marks = Array.from({ length: CLASSES }, () => element("li"));
    const plot = box.querySelector(".film-losses");
    const cursor = document.createElementNS(plot.namespaceURI, "path");
    cursor.classList.add("film-cursor");
    plot.append(cursor);
    box.querySelector(".live-title").after(element("div", { class: "live-now" }, view,
      element("ol", { class: "film-marks", "aria-hidden": "true" }, ...marks)));
    box.classList.add("live-on");
    return { box, steps, view, marks, plot, cursor, strip: box.querySelector("img"),
      read: box.dataset.read.split(" ").map((moment) => [...moment].map(Number)) };
  });
  const last = films[0].steps.length - 1;
  let now = last, playing = 0;

  const slider = Live.slider("Moment of the training", last, (moment) => { stop(); show(moment); });
  const button = Live.button("Play", () => (playing ? stop() : play()), "live-first");
  const where = element("output", { class: "film-step" });
  const said = element("p", { class: "live-said", "aria-live": "polite" });

  const digits = (read) => {
    const kept = read.flatMap((is, digit) => (is ? [digit] : []));
    return `${kept.length} of ${CLASSES} digits read${kept.length ? `: ${kept.join(", ")}` : ""}`;
  };

  function show(moment) {
    now = Math.min(moment, last);
    slider.value = now;
    for (const { steps, view, marks, plot, cursor, strip, read } of films) {
      const { width } = plot.viewBox.baseVal, left = +plot.dataset.left;
      view.getContext("2d").drawImage(strip, 0, now * SIZE, view.width, SIZE, 0, 0, view.width, SIZE);
      view.setAttribute("aria-label", `Step ${steps[now]}, ${digits(read[now])}`);
      cursor.setAttribute("d", `M${left + ((width - left) * steps[now]) / steps[last]} 0V${plot.dataset.foot}`);
      marks.forEach((mark, digit) => {
        mark.textContent = `${digit} ${read[now][digit] ? "✓" : "✗"}`;
        mark.dataset.lost = !read[now][digit];
      });
    }
    const step = (at) => films[0].steps[at].toLocaleString("en");
    where.textContent = `Step ${step(now)} of ${step(last)}`;
    slider.setAttribute("aria-valuetext", where.textContent);
  }

  function play() {
    if (now === last) show(0);
    button.textContent = "Pause";
    playing = setInterval(() => (now < last ? show(now + 1) : rest()), PAUSE);
  }

  function stop() {
    clearInterval(playing);
    playing = 0;
    button.textContent = "Play";
  }

  /* When it stands still: tell, and put it into the address. */
  function rest() {
    stop();
    said.textContent = `${where.textContent}. `
      + films.map(({ box, read }) => `${box.ariaLabel}: ${digits(read[now])}.`).join(" ");
    address.keep(now);
    root.dataset.rests = now;
  }

  const address = Live.address(root, "film", (moment) => { stop(); show(moment); });
  slider.addEventListener("change", rest);
  root.prepend(element("div", { class: "film-bar live-now" }, button, slider, where, said));
  root.classList.add("live-on");

  /* It plays once when it is seen, unless the reader wants no motion or a certain moment. */
  function begin() {
    show(last);
    if (address.read() || Live.still) return;
    const seen = new IntersectionObserver(([{ isIntersecting }]) => {
      if (!isIntersecting) return;
      seen.disconnect();
      if (now === last) play();
    }, { threshold: 0.6 });
    seen.observe(root);
  }
  Promise.all(films.map(({ strip }) => strip.decode())).then(begin);
})();
