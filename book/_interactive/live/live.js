/* What the live pictures of the book are built of; a page with two of them loads it twice. */
"use strict";

window.Live ??= {
  still: window.matchMedia("(prefers-reduced-motion: reduce)").matches,

  element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  },

  button(words, act, kind = "") {
    const made = Live.element("button", { type: "button", class: kind }, words);
    made.addEventListener("click", act);
    return made;
  },

  /* A slider of whole steps; `act` is told its place while it moves. */
  slider(words, last, act) {
    const made = Live.element("input", { type: "range", min: 0, max: last, "aria-label": words });
    made.addEventListener("input", () => act(+made.value));
    return made;
  },

  /* Ten choices or two, of which one holds; `act` is told its place.  label: what stands in each. */
  choices(name, labels, act) {
    return labels.map((label, i) => {
      const input = Live.element("input", { type: "radio", name, value: i });
      input.addEventListener("change", () => act(i));
      return Live.element("label", {}, input, ...label);
    });
  },

  first: (p) => p.indexOf(Math.max(...p)),

  /* What a classifier answers: the digit, whose class that is, and ten bars.  `tell` shows
     probabilities, [10]; whose(label): the cues of that class. */
  card(key, name) {
    const answer = Live.element("strong", { class: "live-answer" });
    const cue = Live.element("span", { class: "live-cue" });
    const bars = Array.from({ length: 10 }, (_, y) =>
      Live.element("li", {}, Live.element("i"), Live.element("span", {}, y)));
    const box = Live.element("section",
      { class: "live-card", "data-subject": key, "aria-label": `Learned from ${name}` },
      Live.element("p", { class: "live-name" }, "Learned from ", Live.element("b", {}, name)),
      Live.element("p", { class: "live-verdict" }, answer, cue),
      Live.element("ol", { "aria-hidden": "true" }, ...bars));
    const tell = (p, whose) => {
      const label = Live.first(p), follows = whose(label);
      answer.textContent = label;
      cue.textContent = follows.length ? `the ${follows.join(" and the ")}` : "none of the three";
      box.dataset.follows = follows[0] || "none";
      bars.forEach((bar, y) => {
        bar.style.setProperty("--p", p[y]);
        bar.dataset.cue = whose(y)[0] || "none";
      });
    };
    return { key, name, box, answer, cue, tell };
  },

  /* A link that copies the address it leads to and says so; where the browser refuses, the address is
     shown, ready to be copied. */
  link(words) {
    const made = Live.element("a", { class: "live-link", href: "#", "aria-live": "polite" }, words);
    made.addEventListener("click", async (event) => {
      event.preventDefault();
      history.replaceState(null, "", made.href);
      try {
        await navigator.clipboard.writeText(made.href);
        made.textContent = "Copied";
        setTimeout(() => { made.textContent = words; }, 2000);
      } catch {
        const shown = Live.element("input", { class: "live-shown", readonly: "", "aria-label": words,
          value: made.href });
        shown.addEventListener("blur", () => shown.remove());
        made.after(shown);
        shown.select();
      }
    });
    return made;
  },

  /* The state of a picture, numbers behind `#name=`, so that it can be shared.  `enter` is told it
     when the page goes to such an address, and by `read`, which says whether there was one; `keep`
     puts numbers there. */
  address(root, name, enter) {
    const form = new RegExp(`^#${name}=(\\d{1,4}(?:\\.\\d{1,4})*)$`);
    const read = () => {
      const found = form.exec(location.hash);
      if (found) enter(...found[1].split(".").map(Number));
      if (found) root.scrollIntoView();
      return Boolean(found);
    };
    window.addEventListener("hashchange", read);
    return { read, keep: (...numbers) => history.replaceState(null, "", `#${name}=${numbers.join(".")}`) };
  },
};
