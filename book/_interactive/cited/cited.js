/* Numbers that cite themselves: on tap, hover and focus a number says where it is from.

   Loaded by pages that have such numbers, which book/_press/citations.py writes. */
(function () {
  "use strict";

  const TERMS = { scale: "Scale", n: "n", runs: "Runs", rows: "Rows", command: "Again" };
  const note = document.createElement("div");
  let of = null; // the number whose sources are shown
  note.className = "cited-note";
  note.id = "cited-note";
  note.role = "tooltip";
  note.hidden = true;

  function element(name, text, kind = "") {
    const made = document.createElement(name);
    made.textContent = text;
    made.className = kind;
    return made;
  }

  /* One source as a list of terms, under the name of who measured or reported. */
  function told(source) {
    const list = document.createElement("dl");
    for (const [key, term] of Object.entries(TERMS))
      if (source[key]) {
        const value = element("dd", key === "command" ? "" : source[key]);
        if (key === "command") value.append(element("code", source[key]));
        list.append(element("dt", term), value);
      }
    return [element("p", source.who, "cited-who"), list];
  }

  function show(number) {
    if (of === number) return;
    hide();
    of = number;
    note.replaceChildren(...JSON.parse(number.dataset.sources).flatMap(told));
    note.hidden = false;
    number.setAttribute("aria-describedby", note.id);
    place();
  }

  /* Put the note below its number or, where there is no room, above. */
  function place() {
    if (!of) return;
    const box = of.getBoundingClientRect(), wide = document.documentElement.clientWidth;
    const tall = note.offsetHeight + 6, below = box.bottom + tall < window.innerHeight || box.top < tall;
    note.style.left = `${Math.min(Math.max(box.left - 16, 8), wide - note.offsetWidth - 8)}px`;
    note.style.top = `${below ? box.bottom + 6 : box.top - tall}px`;
  }

  function hide() {
    of?.removeAttribute("aria-describedby");
    of = null;
    note.hidden = true;
  }

  document.querySelectorAll("data.cited").forEach((number) => {
    number.tabIndex = 0;
    for (const event of ["mouseenter", "focus", "click"]) number.addEventListener(event, () => show(number));
    number.addEventListener("blur", hide);
    number.addEventListener("mouseleave", (event) => {
      if (event.relatedTarget !== note && document.activeElement !== number) hide();
    });
  });
  note.addEventListener("mouseleave", () => document.activeElement !== of && hide());
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  document.addEventListener("pointerdown", ({ target }) => {
    if (of && !note.contains(target) && !of.contains(target)) hide();
  });
  for (const event of ["scroll", "resize"]) window.addEventListener(event, place, { passive: true });
  document.querySelector("main").append(note);
})();
