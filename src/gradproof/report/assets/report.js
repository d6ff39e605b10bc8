"use strict";
(() => {
  const root = document.documentElement;
  const all = (query, from = document) => [...from.querySelectorAll(query)];
  const one = (id) => document.getElementById(id);
  root.classList.add("scripted");

  // Theme: the system's, until it is switched.
  const stored = (value) => {
    try { return value ? localStorage.setItem("gradproof-theme", value) : localStorage.getItem("gradproof-theme"); }
    catch { return null; }  // a page that was opened from disk may not have any
  };
  const known = stored();
  if (known === "light" || known === "dark") root.dataset.theme = known;
  one("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    stored(root.dataset.theme);
  });

  // Copy.
  const copied = async (text) => {
    try { await navigator.clipboard.writeText(text); return true; }
    catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  };
  for (const button of all(".copy")) {
    button.addEventListener("click", async () => {
      button.textContent = await copied(button.dataset.copy) ? "Copied" : "Press Ctrl+C";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }

  // From wrong leaf to wrong leaf.
  const leaves = all("article.leaf");
  let current = -1;
  const go = (by) => {
    if (!leaves.length) return;
    current = current < 0 ? (by > 0 ? 0 : leaves.length - 1) : (current + by + leaves.length) % leaves.length;
    leaves[current].scrollIntoView({ block: "start" });
    leaves[current].focus({ preventScroll: true });
  };
  leaves.forEach((leaf, at) => leaf.addEventListener("focusin", () => {
    current = at;
    one("place").textContent = `${at + 1} of ${leaves.length}`;
  }));
  one("next")?.addEventListener("click", () => go(1));
  one("previous")?.addEventListener("click", () => go(-1));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    if (event.key === "n") go(1);
    if (event.key === "p") go(-1);
  });

  // Sorting.
  const compare = (a, b) => {
    const [x, y] = [Number(a), Number(b)];
    return a !== "" && b !== "" && !Number.isNaN(x) && !Number.isNaN(y) ? x - y : a.localeCompare(b, undefined, { numeric: true });
  };
  const value = (cell) => (cell.dataset.v === "inf" ? "Infinity" : cell.dataset.v ?? cell.textContent);
  for (const table of all("table.sortable")) {
    const heads = all("thead th", table), body = table.tBodies[0];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].sort((a, b) => compare(value(a.cells[column]), value(b.cells[column])));
        body.append(...(down ? rows.reverse() : rows));
      });
    });
  }

  // Maps: a pointer, or the arrow keys, read single cells.
  const maps = JSON.parse(one("maps").textContent);
  const doubles = (text) => new Float64Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const spelled = (x) => (Number.isNaN(x) ? "not known" : `${x < 0 ? "−" : "+"}${Math.abs(x).toPrecision(9)}`);
  const index = (flat, shape) => {
    const out = [];
    for (const length of [...shape].reverse()) { out.unshift(flat % length); flat = Math.floor(flat / length); }
    return shape.length ? `[${out.join(", ")}]` : "the only entry";
  };
  const tip = one("tip");
  for (const box of all(".maps")) {
    const map = maps[box.dataset.map], reading = box.querySelector(".reading");
    const cursors = all(".cursor", box), pictures = all("svg.map", box);
    const at = new Map(), sources = Object.fromEntries(Object.entries(map.values).map(([name, text]) => [name, doubles(text)]));
    const entries = doubles(map.entries), right = doubles(map.right);
    doubles(map.cells).forEach((cell, number) => at.set(cell, number));
    const [wrong, reference] = map.names;
    const lines = (cell) => {
      const number = at.get(cell);
      if (number === undefined) return ["not known"];
      const values = { ...Object.fromEntries(Object.entries(sources).map(([name, list]) => [name, list[number]])) };
      if (!(reference in values)) values[reference] = right[number];
      const width = Math.max(...Object.keys(values).map((name) => name.length), 10);
      const out = [index(entries[number], map.shape), ...Object.entries(values).map(([name, x]) => `${name.padEnd(width)}  ${spelled(x)}`)];
      if (!Number.isNaN(right[number])) out.push(`${"difference".padEnd(width)}  ${spelled(values[wrong] - right[number])}`);
      if (map.block[0] * map.block[1] > 1) out.push(`worst of ${map.block[0]} × ${map.block[1]}`);
      return out;
    };
    let row = 0, column = 0;
    const show = () => {
      for (const cursor of cursors) {
        cursor.setAttribute("x", column);
        cursor.setAttribute("y", row);
        cursor.setAttribute("visibility", "visible");
      }
      return lines(row * map.columns + column);
    };
    const hide = () => {
      tip.hidden = true;
      for (const cursor of cursors) cursor.setAttribute("visibility", "hidden");
    };
    for (const picture of pictures) {
      picture.addEventListener("pointermove", (event) => {
        const area = picture.getBoundingClientRect();
        column = Math.min(map.columns - 1, Math.max(0, Math.floor((event.clientX - area.left) / area.width * map.columns)));
        row = Math.min(map.rows - 1, Math.max(0, Math.floor((event.clientY - area.top) / area.height * map.rows)));
        tip.textContent = show().join("\n");
        tip.hidden = false;
        tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8))}px`;
        tip.style.top = `${event.clientY + 18 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 10 : event.clientY + 18}px`;
      });
      picture.addEventListener("pointerleave", hide);
      picture.addEventListener("focus", () => { reading.textContent = show().join("   "); });
      picture.addEventListener("blur", () => { hide(); reading.textContent = ""; });
      picture.addEventListener("keydown", (event) => {
        const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
        if (!step) return;
        event.preventDefault();
        row = (row + step[0] + map.rows) % map.rows;
        column = (column + step[1] + map.columns) % map.columns;
        reading.textContent = show().join("   ");
      });
    }
  }
})();
