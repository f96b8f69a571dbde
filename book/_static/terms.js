/* Definitions of terms: Escape puts one away, and none sticks out of the window.  The style sheet
   shows them. */
document.querySelectorAll(".defined").forEach((term) => {
  const note = term.lastElementChild;
  const open = () => {
    note.style.translate = "";
    const over = note.getBoundingClientRect().right - document.documentElement.clientWidth + 8;
    if (over > 0) note.style.translate = `${-over}px`;
  };
  for (const event of ["mouseenter", "focusin"]) term.addEventListener(event, open);
  for (const event of ["mouseleave", "focusout"])
    term.addEventListener(event, () => term.classList.remove("shut"));
});
document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape")
    document.querySelectorAll(".defined:is(:hover, :focus-within)").forEach((term) => term.classList.add("shut"));
});
