/* The page of the search: paragraphs in which all words of the query begin a word.
   PARAGRAPHS is written by book/_press/paragraphs.py. */
(function () {
  "use strict";

  const MOST = 40;
  const query = (new URLSearchParams(location.search).get("q") ?? "").trim();
  const results = document.getElementById("search-results");
  document.querySelectorAll("form.bd-search input").forEach((field) => { field.value = query; });

  const plain = (text) => text.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "");
  const escaped = (word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  // without the s of a plural; Claim 1 does not find 10
  const stem = (word) => (/^\d+$/.test(word) ? `${word}(?!\\d)` : escaped(word.length > 3 ? word.replace(/s$/, "") : word));
  const words = plain(query).split(/\s+/).filter(Boolean).map(stem);
  const begins = words.map((word) => new RegExp(`(?<![\\p{L}\\p{N}])${word}`, "u"));
  const marked = new RegExp(`(?<![\\p{L}\\p{N}])(${words.join("|")})[\\p{L}\\p{N}]*`, "giu");

  function element(name, text = "") {
    const made = document.createElement(name);
    made.textContent = text;
    return made;
  }

  /* A paragraph, from shortly before its first hit, with all hits marked. */
  function excerpt(text) {
    const shown = element("p");
    const first = Math.max(text.search(marked), 0);
    const start = first < 120 ? 0 : text.indexOf(" ", first - 80) + 1;
    const part = `${start ? "… " : ""}${text.slice(start, start + 320)}${start + 320 < text.length ? " …" : ""}`;
    let end = 0;
    for (const hit of part.matchAll(marked)) {
      shown.append(part.slice(end, hit.index), element("mark", hit[0]));
      end = hit.index + hit[0].length;
    }
    shown.append(part.slice(end));
    return shown;
  }

  /* The section, and where the browser can, the paragraph itself. */
  function address(page, anchor, text) {
    const opening = text.split(/\s+/).slice(0, 5).join(" ").replace(/[^\p{L}\p{N}]+$/u, "");
    return `${page}#${anchor}:~:text=${encodeURIComponent(opening).replace(/-/g, "%2D")}`;
  }

  const found = [];
  if (words.length)
    for (const [page, title, sections] of PARAGRAPHS)
      for (const [anchor, heading, paragraphs] of sections)
        for (const text of paragraphs) {
          const [inText, inHead] = [plain(text), plain(`${title} ${heading}`)];
          const count = (words) => begins.filter((word) => word.test(words)).length;
          const defines = page.endsWith("glossary.html");
          if (!defines && !count(inText)) continue; // a heading alone is no paragraph
          if (!begins.every((word) => word.test(inText) || word.test(inHead))) continue;
          const told = page.endsWith("reported.html"); // the appendix comes after the chapters
          const score = 2 * count(inText) + 4 * count(plain(heading)) + 8 * defines - 8 * told;
          found.push({ page, title, anchor, heading, text, score });
        }
  found.sort((a, b) => b.score - a.score);

  const count = found.length === 1 ? "1 paragraph" : `${found.length} paragraphs`;
  const said = element("p", words.length ? `${count} with “${query}”${found.length > MOST ? `, the first ${MOST} of them` : ""}.` : "");
  said.setAttribute("role", "status");
  const list = element("ul");
  list.className = "search";
  for (const { page, title, anchor, heading, text } of found.slice(0, MOST)) {
    const item = element("li"), link = element("a", heading === title ? title : `${title}: ${heading}`);
    link.href = address(page, anchor, text);
    item.append(link, excerpt(text));
    list.append(item);
  }
  // after the theme has looked at the links of the page: it takes no address of a text
  window.addEventListener("load", () => setTimeout(() => results.replaceChildren(said, ...(found.length ? [list] : []))));
})();
