// Builds the pages' parts; every text goes in as text, never as markup.
export const megabytes = bytes => `${(bytes / 1e6).toFixed(1)} MB`;
export const percent = share => `${(100 * share).toFixed(0)} %`;
export const byId = id => document.getElementById(id);

export function element(name, options = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(options)) {
    if (key === "text") made.textContent = value;
    else if (key === "class") made.className = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// A cell is a text, {number: text} or an element.
export function table(label, heads, rows) {
  const body = element("tbody");
  for (const row of rows) {
    body.append(element("tr", {}, ...row.map(cell =>
      cell instanceof Node ? element("td", {}, cell)
      : typeof cell === "object" ? element("td", { class: "number", text: cell.number })
      : element("td", { text: cell }))));
  }
  if (!rows.length) return element("p", { class: "dim", text: "none" });

  // Figures stand right, and so do their heads; the column of buttons has a name for who does not see it.
  const head = element("thead", {}, element("tr", {}, ...heads.map((text, i) => {
    const cell = rows[0][i];
    const options = { scope: "col", class: typeof cell === "object" && !(cell instanceof Node) ? "number" : "" };
    return text ? element("th", { ...options, text }) : element("th", options, element("span", { class: "unseen", text: "Action" }));
  })));
  return element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": label }, element("table", {}, head, body));
}

export function button(text, label, action, danger = true) {
  const made = element("button", { type: "button", text, "aria-label": label, class: danger ? "danger" : "" });
  made.addEventListener("click", action);
  return made;
}

// Builds a list anew without taking it from under its reader: not while a button is held down; the focus goes back to what it was on, and tables stay scrolled as they were.
export function refill(list, build) {
  if (list.matches(":has(button:active)")) return;
  const focused = list.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
  const scrolled = [...list.querySelectorAll(".scroll")].filter(part => part.scrollLeft).map(part => [part.getAttribute("aria-label"), part.scrollLeft]);
  list.replaceChildren(...build());
  for (const [label, left] of scrolled) list.querySelectorAll(`.scroll[aria-label="${CSS.escape(label)}"]`).forEach(part => { part.scrollLeft = left; });
  if (focused) focusOn(focused, list);
}

export const focusOn = (label, within = document) => within.querySelector(`[aria-label="${CSS.escape(label)}"]`)?.focus({ preventScroll: true });

const milliseconds = seconds => `${(1000 * seconds).toFixed(seconds < .01 ? 2 : 0)} ms`;

// A stage, and the link on which it sends: rows to the next one, from the last one tokens back to the first.
function stage(s, i, stages) {
  const target = stages.length < 2 ? null : stages[(i + 1) % stages.length].node;
  return element("li", { class: s.phase === "Ready" ? "ready" : "" },
    element("strong", { text: `layers ${s.firstLayer}–${s.lastLayer}` }),
    element("span", { text: `${s.node}, ${s.phase.toLowerCase()}, ${megabytes(s.memoryBytes)}` }),
    element("span", { class: "flow" },
      element("meter", { min: "0", max: "1", value: String(Math.min(1, s.busyShare)), "aria-label": `busy share of layers ${s.firstLayer} to ${s.lastLayer} on ${s.node}` }),
      ` busy ${percent(s.busyShare)}, ${s.queued} queued`),
    ...(target ? [element("span", { class: "link", text: `${i + 1 < stages.length ? "→" : "↩"} ${target} ${s.linkSeconds ? `in ${milliseconds(s.linkSeconds)}` : "not measured yet"}` })] : []));
}

function pipelines(d) {
  const drawn = [];
  for (const number of [...new Set(d.stages.map(s => s.pipeline))].sort((a, b) => a - b)) {
    const stages = d.stages.filter(s => s.pipeline === number), flow = d.pipelines.find(p => p.pipeline === number);
    drawn.push(
      element("p", { class: "dim", text: `Pipeline ${number + 1}, epoch ${flow.epoch}: ${flow.tokensPerSecond.toFixed(1)} tokens/s, ${flow.running} running, ${flow.waiting} queued, ` +
        `${flow.kvBlocks - flow.freeKvBlocks} of ${flow.kvBlocks} cache blocks in use` }),
      element("ol", { class: "pipeline", "aria-label": `pipeline ${number + 1} of ${d.name}` }, ...stages.map(stage)));
  }
  return drawn;
}

// actions(d): buttons beside the name of a deployment.
export function deployment(d, actions = () => []) {
  const facts = `${d.phase}, ${d.tokensPerSecond.toFixed(1)} tokens/s, ${d.running} running, ${Math.max(0, d.active - d.running)} waiting` +
    (d.owner ? `, planned by ${d.owner}` : "") + (d.phase === "Ready" ? "" : `, ${megabytes(d.loadedBytes)} of ${megabytes(d.totalBytes)}`);
  const made = element("div", {}, element("div", { class: "bar" }, element("h4", { text: d.name }), ...actions(d)), element("p", { class: d.phase === "Ready" ? "good" : "dim", text: facts }));
  if (d.problem) made.append(element("p", { class: "problem", text: d.problem }));
  made.append(...pipelines(d));
  return made;
}

// actions.node(tenant, node, deployments held) and actions.deployment(tenant, deployment): buttons, or none.
export function cell(c, actions = {}) {
  const s = c.status;
  const held = node => s.deployments.filter(d => d.stages.some(one => one.node === node));
  return element("article", { "aria-label": `cell ${s.tenant}` },
    element("h3", { text: s.tenant }),
    element("p", { class: "dim", text: `${s.nodes.length} ${s.nodes.length === 1 ? "node" : "nodes"}` }),
    ...s.deployments.map(d => deployment(d, d => actions.deployment?.(s.tenant, d) ?? [])),
    table(`nodes of ${s.tenant}`, ["Node", "State", "Layers held", "CPU", "GPU", "Memory", "Temperature", "Version", ...(actions.node ? [""] : [])], s.nodes.map(node => [
      node.name,
      node.leaving ? "leaving" : "up",
      held(node.name).map(d => `${d.name} ${d.stages.filter(one => one.node === node.name).map(one => `${one.firstLayer}–${one.lastLayer}`).join(", ")}`).join("; ") || "none",
      { number: `${percent(node.cpuShare)} of ${node.cores}` },
      node.deviceShare === null ? node.device === "cpu" ? "none" : node.device : `${percent(node.deviceShare)} of ${node.device}`,
      { number: `${megabytes(node.memoryUsedBytes)} of ${megabytes(node.memoryBytes)}` },
      { number: node.temperatureCelsius === null ? "unknown" : `${node.temperatureCelsius.toFixed(0)} °C` },
      node.version,
      ...(actions.node ? [actions.node(s.tenant, node.name, held(node.name))] : []),
    ])));
}

export const certificates = list => table("certificates", ["Cell", "Whose", "Ends", "Days left"], list.map(c => [
  c.tenant ?? "all", c.whose, c.ends.slice(0, 16).replace("T", " "), { number: c.daysLeft < 1 ? `${c.daysLeft.toFixed(1)}, soon` : c.daysLeft.toFixed(1) }]));

export const answers = (list, action) => table("running generations", ["Generation", "Tenant", "Model", "Key", "Tokens", "Age", ...(action ? [""] : [])], list.map(g => [
  g.id, g.tenant, g.model, g.key ?? "", { number: String(g.tokens) }, { number: `${g.ageSeconds.toFixed(0)} s` }, ...(action ? [action(g)] : [])]));
