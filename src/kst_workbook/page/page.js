// Each page can be read without this: it adds buttons that copy code, and the search.
"use strict";
{
  const root = document.documentElement.dataset.root;
  const menu = document.getElementById("page-menu");
  const form = menu.querySelector("form");
  const query = document.getElementById("page-query");
  const status = form.querySelector("[role=status]");
  const results = form.querySelector(".results");
  const MOST = 30;
  const BEFORE = 40;
  const AFTER = 110;

  const make = (tag, text = "", attributes = {}) =>
    Object.assign(document.createElement(tag), { textContent: text }, attributes);

  const here = menu.querySelector(".pages [aria-current]");
  if (here) menu.scrollTop = here.offsetTop - menu.clientHeight / 3;

  // Copy.

  async function copy(code) {
    try {
      await navigator.clipboard.writeText(code.textContent.trimEnd());
      return "Copied";
    } catch { // a page from another host without https: the reader copies what is selected
      getSelection().selectAllChildren(code);
      return "Selected";
    }
  }

  for (const block of document.querySelectorAll("main .highlight")) {
    const button = make("button", "Copy", { className: "copy", type: "button" });
    button.setAttribute("aria-live", "polite");
    button.addEventListener("click", async () => {
      button.textContent = await copy(block.querySelector("pre"));
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    block.append(button);
  }

  // Search.

  function load() {
    if (!document.getElementById("page-index")) {
      const script = make("script", "", { id: "page-index", src: `${root}search_index.js` });
      script.addEventListener("load", search);
      document.head.append(script);
    }
  }

  // A word as it is typed: its text, and what finds it at the beginning of a word.
  function wordOf(text) {
    const literal = text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    return { text, literal, beginning: RegExp(`(?<![\\p{L}\\p{N}])${literal}`, "iu") };
  }

  // The sections that have all words: in the title, as beginnings of words, anywhere.
  function found(words) {
    const rank = ({ title, text }) => {
      const all = `${title} ${text}`.toLowerCase();
      if (!words.every(word => all.includes(word.text))) return 3;
      if (words.every(word => title.toLowerCase().includes(word.text))) return 0;
      return words.every(word => word.beginning.test(all)) ? 1 : 2;
    };
    return window.searchIndex
      .flatMap(([path, page, sections]) =>
        sections.map(([anchor, title, text]) => ({ path, page, anchor, title, text })))
      .map(section => ({ ...section, rank: rank(section) }))
      .filter(section => section.rank < 3)
      .sort((one, other) => one.rank - other.rank);
  }

  function around(text, words) {
    const places = words
      .map(word => text.match(word.beginning)?.index ?? text.toLowerCase().indexOf(word.text))
      .filter(place => place >= 0);
    const from = places.length ? Math.max(0, Math.min(...places) - BEFORE) : 0;
    const part = text.slice(from, from + BEFORE + AFTER);
    return (from ? "…" : "") + part + (from + part.length < text.length ? "…" : "");
  }

  function marked(text, words) {
    const shown = make("p");
    const either = RegExp(`(${words.map(word => word.literal).join("|")})`, "i");
    for (const [place, part] of text.split(either).entries())
      shown.append(place % 2 ? make("mark", part) : part);
    return shown;
  }

  function search() {
    const words = query.value.toLowerCase().normalize("NFC").split(/\s+/).filter(Boolean).map(wordOf);
    menu.classList.toggle("searching", words.length > 0);
    results.replaceChildren();
    status.textContent = "";
    if (!words.length || !window.searchIndex) return;
    const all = found(words);
    const shown = all.slice(0, MOST);
    for (const { path, page, anchor, title, text } of shown) {
      const item = make("li");
      const href = `${root}${path}#${encodeURIComponent(anchor)}`;
      item.append(make("a", title, { href }));
      if (page !== title) item.append(make("small", page));
      item.append(marked(around(text, words), words));
      results.append(item);
    }
    const more = all.length > MOST ? `; the first ${MOST}` : "";
    status.textContent = `${all.length} ${all.length === 1 ? "section" : "sections"}${more}`;
  }

  function move(event, step) {
    const stops = [query, ...results.querySelectorAll("a")];
    const next = stops[stops.indexOf(document.activeElement) + step];
    if (next) {
      event.preventDefault();
      next.focus();
    }
  }

  form.hidden = false;
  query.addEventListener("focus", load);
  query.addEventListener("input", search);
  form.addEventListener("submit", event => {
    event.preventDefault();
    results.querySelector("a")?.click();
  });
  form.addEventListener("keydown", event => {
    if (event.key === "ArrowDown") move(event, 1);
    if (event.key === "ArrowUp") move(event, -1);
    if (event.key === "Escape" && query.value) {
      event.preventDefault(); // the menu stays open
      query.value = "";
      search();
      query.focus();
    }
  });
  const isOpen = () => menu.matches(":popover-open");
  document.addEventListener("keydown", event => {
    if (event.key !== "/" || event.target === query) return;
    event.preventDefault();
    if (!menu.checkVisibility()) menu.showPopover();
    query.focus();
    query.select();
  });
  menu.addEventListener("click", event => {
    if (event.target.closest("a") && isOpen()) menu.hidePopover();
  });
}
