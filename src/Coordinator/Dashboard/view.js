// Builds the dashboard's parts; every text goes in as text, never as markup.
export const megabytes = bytes => `${(bytes / 1e6).toFixed(1)} MB`;

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

function pipelines(stages) {
  const drawn = [];
  for (const number of [...new Set(stages.map(stage => stage.pipeline))].sort((a, b) => a - b)) {
    drawn.push(element("ol", { class: "pipeline", "aria-label": `pipeline ${number}` }, ...stages.filter(stage => stage.pipeline === number).map(stage =>
      element("li", { class: stage.phase === "Ready" ? "ready" : "" },
        element("strong", { text: `layers ${stage.firstLayer}–${stage.lastLayer}` }),
        element("span", { text: `${stage.node}, ${stage.phase.toLowerCase()}, ${megabytes(stage.memoryBytes)}` })))));
  }
  return drawn;
}

function deployment(d) {
  const facts = `${d.phase}, epoch ${d.epoch}, ${d.tokensPerSecond.toFixed(1)} tokens/s, ${d.running} running, ${Math.max(0, d.active - d.running)} waiting, ` +
    `${d.kvBlocks - d.freeKvBlocks} of ${d.kvBlocks} cache blocks in use` + (d.owner ? `, planned by ${d.owner}` : "") +
    (d.phase === "Ready" ? "" : `, ${megabytes(d.loadedBytes)} of ${megabytes(d.totalBytes)}`);
  const made = element("div", {}, element("h3", { text: d.name }), element("p", { class: d.phase === "Ready" ? "good" : "dim", text: facts }));
  if (d.problem) made.append(element("p", { class: "problem", text: d.problem }));
  made.append(...pipelines(d.stages));
  return made;
}

// drain(tenant, node, deployments): asked before a node is drained.
export function cell(c, drain) {
  const s = c.status;
  const held = node => s.deployments.filter(d => d.stages.some(stage => stage.node === node));
  const days = c.certificateDaysLeft;
  return element("article", { "aria-label": `cell ${s.tenant}` },
    element("h3", { text: s.tenant }),
    element("p", { class: days < 1 ? "bad" : "dim", text: `${s.nodes.length} ${s.nodes.length === 1 ? "node" : "nodes"}, the coordinator's certificate runs ${days.toFixed(1)} more days` }),
    ...s.deployments.map(deployment),
    table(`nodes of ${s.tenant}`, ["Node", "Layers held", "Device", "Memory", "Version", ""], s.nodes.map(node => [
      node.name + (node.leaving ? " (leaving)" : ""),
      held(node.name).map(d => `${d.name} ${d.stages.filter(stage => stage.node === node.name).map(stage => `${stage.firstLayer}–${stage.lastLayer}`).join(", ")}`).join("; ") || "none",
      node.device || `${node.cores} cores`,
      { number: `${megabytes(node.memoryUsedBytes)} of ${megabytes(node.memoryBytes)}` },
      node.version,
      button("Drain", `Drain ${node.name}`, () => drain(s.tenant, node.name, held(node.name))),
    ])));
}
