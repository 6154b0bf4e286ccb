// Draws the run that is chosen from the traces in #data, and reads its values out to mouse, finger and keyboard.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const viewer = byId("viewer");
  if (!viewer || data.first === null) return;

  const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F"];
  const DASHES = ["", "9 3", "4 3", "9 3 2 3"];
  const EDGE = { left: 58, right: 12, top: 24, bottom: 22 };
  const HINT = byId("readout").textContent;
  const chosen = { run: data.first, other: -1, panel: -1 };
  const cursor = { panel: -1, signal: 0, row: 0 };
  let charts = [];

  // ---- data

  const bytes = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0)).buffer;
  const times = data.times.map((own) =>
    own.each ? new Float64Array(bytes(own.each)) : Float64Array.from({ length: own.count }, (_, k) => own.start + k * own.step));

  /** Panels of a run with their signals: times and values that are drawn. */
  function panelsOf(run) {
    const trace = data.traces[data.runs[run].trace];
    const time = times[trace.time];
    let place = 0;
    return data.layouts[trace.layout].map((panel) => ({
      ...panel, end: time[time.length - 1], start: time[0], failed: panel.held ? trace.failed || [] : [],
      signals: panel.signals.map((signal) => {
        const values = new Float32Array(bytes(trace.values[place]));
        const rows = trace.rows ? new Uint32Array(bytes(trace.rows[place])) : null;
        place += 1;
        return { ...signal, values, time: rows ? Float64Array.from(rows, (row) => time[row]) : time };
      }),
    }));
  }

  const outside = (signal, value) =>
    (signal.low !== null && value < signal.low) || (signal.high !== null && value > signal.high);
  const figure = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(6))) : String(value)).replace("-", "−");
  const withUnit = (text, unit) => (unit ? `${text} ${unit}` : text);

  // ---- drawing

  function add(parent, tag, attributes = {}, text = "") {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text) element.textContent = text;
    parent.append(element);
    return element;
  }

  /** Round numbers that divide an interval into some count of steps. */
  function ticks(low, high, count) {
    const raw = (high - low) / count;
    const size = 10 ** Math.floor(Math.log10(raw));
    const step = size * [1, 2, 5, 10].find((factor) => factor * size >= raw);
    const found = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k += 1) found.push(Number((k * step).toPrecision(12)));
    return found;
  }

  /** Range of what is drawn; limits that lie near belong to it. */
  function rangeOf(panels) {
    let low = Infinity, high = -Infinity;
    const signals = panels.flatMap((panel) => panel.signals);
    for (const signal of signals) for (const value of signal.values) {
      if (Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
    }
    if (low > high) return [0, 1];
    const size = high - low || Math.abs(high) || 1;
    for (const bound of signals.flatMap((signal) => [signal.low, signal.high])) {
      if (bound !== null && bound >= low - size && bound <= high + size) { low = Math.min(low, bound); high = Math.max(high, bound); }
    }
    const margin = 0.06 * (high - low || size);
    return [low - margin, high + margin];
  }

  function pathOf(signal, panel, x, y) {
    let text = "", open = false;
    signal.values.forEach((value, k) => {
      if (!Number.isFinite(value)) { open = false; return; }
      const px = x(signal.time[k]).toFixed(1), py = y(value).toFixed(1);
      text += !open ? `M${px} ${py}` : panel.held ? `H${px}V${py}` : `L${px} ${py}`;
      open = true;
    });
    return open && panel.held ? `${text}H${x(panel.end).toFixed(1)}` : text;
  }

  function draw(host, panel, beside, number, height, last) {
    const width = Math.max(280, host.clientWidth);
    host.replaceChildren();
    const svg = add(host, "svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    const [low, high] = rangeOf(beside ? [panel, beside] : [panel]);
    const span = panel.end - panel.start || 1;
    const x = (t) => EDGE.left + ((t - panel.start) / span) * (width - EDGE.left - EDGE.right);
    const y = (v) => EDGE.top + ((high - v) / (high - low)) * (height - EDGE.top - EDGE.bottom);
    const floor = height - EDGE.bottom;
    for (const t of ticks(panel.start, panel.start + span, Math.max(3, width / 110))) {
      add(svg, "line", { class: "grid", x1: x(t), x2: x(t), y1: EDGE.top, y2: floor });
      if (t <= panel.start + 0.97 * span || !last) add(svg, "text", { class: "tick", x: x(t), y: height - 7, "text-anchor": "middle" }, figure(t));
    }
    if (last) add(svg, "text", { class: "tick", x: width - EDGE.right, y: height - 7, "text-anchor": "end" }, "s");
    for (const v of ticks(low, high, height / 45)) {
      add(svg, "line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(v), y2: y(v) });
      add(svg, "text", { class: "tick", x: EDGE.left - 6, y: y(v) + 4, "text-anchor": "end" }, figure(v));
    }
    add(svg, "text", { class: "title", x: 4, y: 15 }, panel.unit ? `${panel.title} [${panel.unit}]` : panel.title);
    for (const [from, to] of panel.failed) {
      add(svg, "rect", { class: "shade", x: x(from), width: Math.max(1, x(to) - x(from)), y: EDGE.top, height: floor - EDGE.top });
    }
    for (const side of ["low", "high"]) {
      const bounds = panel.signals.map((signal) => signal[side]), shared = new Set(bounds).size === 1;
      (shared ? bounds.slice(0, 1) : bounds).forEach((bound, k) => {
        if (bound === null || bound <= low || bound >= high) return;
        const line = add(svg, "line", { class: "limit", x1: EDGE.left, x2: width - EDGE.right, y1: y(bound), y2: y(bound) });
        if (!shared) line.style.stroke = COLOURS[k % COLOURS.length];
      });
    }
    const style = (k) => ({ stroke: COLOURS[k % COLOURS.length], "stroke-dasharray": DASHES[Math.floor(k / COLOURS.length) % DASHES.length] });
    if (beside) beside.signals.forEach((signal, k) => add(svg, "path", { class: "trace other", stroke: COLOURS[k % COLOURS.length], d: pathOf(signal, beside, x, y) }));
    const lines = panel.signals.map((signal, k) => add(svg, "path", { class: "trace", ...style(k), d: pathOf(signal, panel, x, y) }));
    let crosses = "";
    if (!panel.held) for (const signal of panel.signals) signal.values.forEach((value, k) => {
      if (outside(signal, value)) crosses += `M${x(signal.time[k]) - 3.5} ${y(value) - 3.5}l7 7m0 -7l-7 7`;
    });
    if (crosses) add(svg, "path", { class: "outside", d: crosses });
    let right = width - EDGE.right;
    if (panel.signals.length > 1) [...panel.signals.entries()].reverse().forEach(([k, signal]) => {
      const key = add(svg, "text", { class: "key", x: right, y: 15, "text-anchor": "end" }, signal.label);
      right -= key.getComputedTextLength() + 6;
      if (right < 0.35 * width) { key.remove(); return; }
      add(svg, "line", { class: "trace", ...style(k), x1: right - 16, x2: right, y1: 11, y2: 11 });
      right -= 28;
    });
    const rule = add(svg, "line", { class: "cursor", y1: EDGE.top, y2: floor, visibility: "hidden" });
    const point = add(svg, "circle", { class: "point", r: 4.5, visibility: "hidden" });
    return { host, svg, panel, beside, x, y, span, width, lines, rule, point, number };
  }

  // ---- reading

  function nearest(time, wanted) {
    let low = 0, high = time.length - 1;
    while (low < high) { const middle = (low + high) >> 1; if (time[middle] < wanted) low = middle + 1; else high = middle; }
    return low > 0 && wanted - time[low - 1] <= time[low] - wanted ? low - 1 : low;
  }

  /** What a held signal is, not which sample lies nearest. */
  function rowAt(signal, panel, wanted) {
    const row = Math.min(nearest(signal.time, wanted), signal.values.length - 1);
    return panel.held && row > 0 && signal.time[row] > wanted ? row - 1 : row;
  }

  function read(chart, signal, row) {
    const own = chart.panel.signals[signal];
    row = Math.max(0, Math.min(own.values.length - 1, row));
    Object.assign(cursor, { panel: chart.number, signal, row });
    for (const other of charts) {
      const here = other === chart;
      other.lines.forEach((line, k) => line.classList.toggle("chosen", here && k === signal));
      other.rule.setAttribute("visibility", "visible");
      other.rule.setAttribute("x1", other.x(own.time[row]));
      other.rule.setAttribute("x2", other.x(own.time[row]));
      other.point.setAttribute("visibility", here && Number.isFinite(own.values[row]) ? "visible" : "hidden");
    }
    chart.point.setAttribute("cx", chart.x(own.time[row]));
    chart.point.setAttribute("cy", chart.y(own.values[row]));
    chart.point.setAttribute("fill", COLOURS[signal % COLOURS.length]);
    const value = own.values[row];
    let text = `${own.name} = ${withUnit(figure(value), chart.panel.unit)} at ${figure(own.time[row])} s`;
    const wrong = outside(own, value);
    if (wrong) {
      const bound = own.low !== null && value < own.low ? own.low : own.high;
      text += `, ${figure(Math.abs(value - bound))} outside its limit ${figure(bound)}`;
    }
    const twin = chart.beside && chart.beside.signals.find((candidate) => candidate.name === own.name);
    if (twin && twin.values.length) text += `; the other: ${figure(twin.values[rowAt(twin, chart.beside, own.time[row])])}`;
    byId("readout").textContent = text;
    byId("readout").classList.toggle("bad", wrong);
  }

  function pointed(chart, event) {
    const box = chart.svg.getBoundingClientRect(), scale = chart.width / box.width;
    const px = (event.clientX - box.left) * scale, py = (event.clientY - box.top) * scale;
    const wanted = chart.panel.start + ((px - EDGE.left) / (chart.x(chart.panel.end) - EDGE.left || 1)) * chart.span;
    let best = [Infinity, 0, 0];
    chart.panel.signals.forEach((signal, k) => {
      if (!signal.values.length) return;
      const row = rowAt(signal, chart.panel, wanted), apart = Math.abs(chart.y(signal.values[row]) - py);
      if (apart < best[0]) best = [apart, k, row];
    });
    if (best[0] < Infinity) read(chart, best[1], best[2]);
  }

  function pressed(chart, event) {
    const here = cursor.panel === chart.number ? cursor : { signal: 0, row: 0 };
    const count = chart.panel.signals.length, rows = chart.panel.signals[here.signal].values.length;
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -rows, End: rows }[event.key];
    const turn = { ArrowUp: count - 1, ArrowDown: 1 }[event.key];
    if ((step === undefined && turn === undefined) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    if (step !== undefined) { read(chart, here.signal, here.row + (cursor.panel === chart.number || Math.abs(step) > 1 ? step : 0)); return; }
    const signal = (here.signal + turn) % count;
    read(chart, signal, rowAt(chart.panel.signals[signal], chart.panel, chart.panel.signals[here.signal].time[here.row]));
  }

  // ---- choosing

  function options(select, list, value) {
    select.replaceChildren(...list.map(([own, text]) => new Option(text, own, false, own === value)));
  }

  const inWords = (run) =>
    run.error ? "failed" : `cost ${run.cost === null ? "unknown" : figure(run.cost)}, ${run.outside ? `${run.outside} instants outside limits` : "clean"}`;

  function choose(number) {
    chosen.run = number;
    const run = data.runs[number];
    const shown = [...data.runs.entries()].filter(([, own]) => own.trace !== null);
    const groups = [...new Set(shown.map(([, own]) => own.group))].sort((a, b) => a - b);
    options(byId("choose-group"), groups.map((group) => [group, data.groups[group].label]), run.group);
    options(byId("choose-run"), shown.filter(([, own]) => own.group === run.group).sort((a, b) => a[1].index - b[1].index)
      .map(([k, own]) => [k, `${own.index}: ${inWords(own)}`]), number);
    const scenario = data.groups[run.group].scenario;
    const twins = shown.filter(([k, own]) => k !== number && own.index === run.index && data.groups[own.group].scenario === scenario);
    const other = twins.find(([, own]) => own.group === chosen.other);
    options(byId("choose-other"), [[-1, "nothing"], ...twins.map(([, own]) => [own.group, `${data.groups[own.group].label}, same noise`])], other ? chosen.other : -1);
    byId("choose-other").disabled = !twins.length;
    const panels = panelsOf(number), beside = other ? panelsOf(other[0]) : [];
    if (chosen.panel >= panels.length) chosen.panel = -1;
    options(byId("choose-panel"), [[-1, "all"], ...panels.map((panel, k) => [k, panel.signals.length > 1 ? `${panel.title} (${panel.signals.length})` : panel.title])], chosen.panel);
    byId("about").textContent = `${run.name}, seed ${run.seed}: ${run.error ? `failed: ${run.error}` : inWords(run)}`;
    document.querySelectorAll("#dots use").forEach((dot) => dot.classList.toggle("chosen", Number(dot.dataset.run) === number));
    const picked = panels.map((panel, k) => [panel, k]).filter(([, k]) => chosen.panel < 0 || k === chosen.panel);
    const hosts = picked.map(([panel]) => {
      const host = document.createElement("div");
      host.className = "chart";
      host.tabIndex = 0;
      host.setAttribute("role", "application");
      host.setAttribute("aria-roledescription", "chart");
      host.setAttribute("aria-label", `${panel.title} of ${run.name} over time. Arrow keys read values.`);
      return host;
    });
    byId("panels").replaceChildren(...hosts);
    charts = picked.map(([panel, k], place) =>
      draw(hosts[place], panel, beside.find((own) => own.title === panel.title), k, chosen.panel < 0 ? 170 : 340, place === picked.length - 1));
    charts.forEach((chart) => {
      chart.svg.addEventListener("pointermove", (event) => pointed(chart, event));
      chart.svg.addEventListener("pointerdown", (event) => pointed(chart, event));
      chart.host.addEventListener("keydown", (event) => pressed(chart, event));
    });
    cursor.panel = -1;
    byId("readout").textContent = HINT;
    byId("readout").classList.remove("bad");
  }

  /** The same again at another width, with what was being read. */
  function redraw() {
    const kept = { ...cursor };
    choose(chosen.run);
    const chart = charts.find((own) => own.number === kept.panel);
    if (chart) read(chart, kept.signal, kept.row);
  }

  function show(number) {
    choose(number);
    byId("traces").scrollIntoView();
    byId("choose-run").focus({ preventScroll: true });
  }

  viewer.hidden = false;
  byId("still-run").hidden = true;
  byId("choose-group").addEventListener("change", (event) => {
    const shown = [...data.runs.entries()].filter(([, own]) => own.trace !== null && own.group === Number(event.target.value));
    choose((shown.find(([, own]) => own.index === data.runs[chosen.run].index) || shown[0])[0]);
  });
  byId("choose-run").addEventListener("change", (event) => choose(Number(event.target.value)));
  byId("choose-other").addEventListener("change", (event) => { chosen.other = Number(event.target.value); choose(chosen.run); });
  byId("choose-panel").addEventListener("change", (event) => { chosen.panel = Number(event.target.value); choose(chosen.run); });
  document.querySelectorAll("button[data-run]").forEach((button) => button.addEventListener("click", () => show(Number(button.dataset.run))));
  data.dots.forEach((runs, group) => ["cost", "violations"].forEach((kind) =>
    document.querySelectorAll(`[id="boxes-${kind}-${group}"] use`).forEach((dot, k) => {
      const run = data.runs[runs[k]];
      if (!run) return;
      add(dot, "title", {}, `${run.name}: ${inWords(run)}`);
      if (run.trace === null) return;
      dot.dataset.run = runs[k];
      dot.classList.add("live");
      dot.addEventListener("click", () => show(runs[k]));
    })));
  choose(data.first);
  let width = viewer.clientWidth;
  new ResizeObserver(() => { if (viewer.clientWidth !== width) { width = viewer.clientWidth; redraw(); } }).observe(viewer);
})();
