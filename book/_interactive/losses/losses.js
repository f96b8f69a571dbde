/* Switch a loss of claim 2 off, and see what a CGN makes that was trained without it.

   The page has a panel for each setting; the chosen one is shown.  No CGN was trained without two
   groups of losses, so switching one off switches the others on. */
(function () {
  "use strict";

  const LOSSES = ["shape", "texture", "background", "reconstruction"];
  const root = document.querySelector(".losses");
  if (!root) return;

  const panels = [...root.querySelectorAll(".losses-panel")];
  const said = Live.element("p", { class: "losses-note", "aria-live": "polite" });
  const address = Live.address(root, "loss", (place) => show(LOSSES[place - 1]));

  /* A loss as its panel writes it: with its subscript, and without the word "Without". */
  const letters = (name) => [...root.querySelector(`[data-without="${name}"] .live-title`)
    .cloneNode(true).childNodes].slice(1);

  const switches = LOSSES.map((name, i) => {
    const box = Live.element("input", { type: "checkbox", role: "switch" });
    box.addEventListener("change", () => {
      show(box.checked ? null : name);
      address.keep(box.checked ? 0 : i + 1);
    });
    return [box, Live.element("label", {}, box, Live.element("span", {}, ...letters(name)))];
  });

  /* Show the setting without one group of losses, or with all. */
  function show(without) {
    const name = without ?? "none";
    for (const panel of panels) panel.hidden = panel.dataset.without !== name;
    switches.forEach(([box], i) => { box.checked = LOSSES[i] !== without; });
    said.replaceChildren(...(without
      ? ["Shown is a CGN trained without ", ...letters(without),
        ". None was trained without two of these groups."]
      : ["All losses are on. Switch one off."]));
  }

  root.prepend(Live.element("div", { class: "losses-board" },
    Live.element("div", { class: "losses-switches", role: "group", "aria-label": "Losses" },
      ...switches.map(([, label]) => label)), said));
  if (!address.read()) show(null);
})();
