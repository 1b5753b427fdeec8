"use strict";
(() => {
  const pause = 2000, patience = 10000; // ms
  const stored = "token";
  const note = document.getElementById("note");
  const projects = document.getElementById("projects");
  const lost = document.getElementById("lost");
  const closed = [...note.childNodes];
  let timer, running = false, own = null;

  // load and keep have the token in storage, for other tabs and later. Where the browser
  // keeps no data, it stays in this page.
  const load = () => {
    try {
      return localStorage.getItem(stored) ?? own;
    } catch {
      return own;
    }
  };
  const keep = (token) => {
    own = token;
    try {
      if (token) localStorage.setItem(stored, token);
      else localStorage.removeItem(stored);
    } catch {}
  };

  const ask = (method, path, secret) =>
    fetch(path, { method, headers: { Authorization: `Bearer ${secret}` }, cache: "no-store", signal: AbortSignal.timeout(patience) });

  // say changes the note only if it differs: screen readers read every change.
  const say = (text) => {
    if (note.textContent !== text) note.textContent = text;
  };

  // signIn exchanges the key in the fragment. The key leaves the address at once.
  const signIn = async () => {
    const key = location.hash.slice(1);
    if (!key) return;
    history.replaceState(null, "", location.pathname);
    const answer = await ask("POST", "/token", key);
    if (answer.ok) keep(await answer.text());
  };

  const refresh = async () => {
    const token = load();
    if (!token) return close();
    const answer = await ask("GET", "/projects", token);
    if (answer.status === 403) {
      if (load() !== token) return refresh(); // another tab has a new one
      keep(null);
      return close();
    }
    if (answer.ok) show(await answer.text());
    else say(await answer.text());
    return true;
  };

  const close = () => {
    projects.replaceChildren();
    projects.hidden = true;
    note.replaceChildren(...closed);
    return false;
  };

  // show replaces only the projects that have changed, so that the place, the focus and
  // the selection stay.
  const show = (html) => {
    const next = new DOMParser().parseFromString(html, "text/html").body;
    const shown = new Map([...projects.children].map((section) => [section.id, section]));
    const focused = document.activeElement;
    let at = null;
    for (const section of [...next.children]) {
      let current = shown.get(section.id);
      shown.delete(section.id);
      if (!current) current = section;
      else if (current.outerHTML !== section.outerHTML) {
        const holdsFocus = current.contains(focused);
        current.replaceWith(section);
        current = section;
        if (holdsFocus) [...section.querySelectorAll("a")].find((a) => a.href === focused.href)?.focus({ preventScroll: true });
      }
      const place = at ? at.nextElementSibling : projects.firstElementChild;
      if (place !== current) projects.insertBefore(current, place);
      at = current;
    }
    for (const gone of shown.values()) gone.remove();
    projects.hidden = false;
    const n = projects.children.length;
    say(n === 1 ? "1 project is running." : `${n} projects are running.`);
  };

  const run = async () => {
    if (running) return;
    running = true;
    clearTimeout(timer);
    let open = true;
    try {
      await signIn();
      open = await refresh();
      lost.hidden = true;
    } catch {
      lost.hidden = false;
    }
    running = false;
    if (open && !document.hidden) timer = setTimeout(run, pause);
  };

  addEventListener("hashchange", run);
  addEventListener("storage", run);
  document.addEventListener("visibilitychange", () => document.hidden || run());
  run();
})();
