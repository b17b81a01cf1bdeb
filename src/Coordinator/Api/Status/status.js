"use strict";

// Rebuilds the page's tables from /status.json every second; text goes in as text only.
const megabytes = bytes => (bytes / 1e6).toFixed(1) + " MB";

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function table(heads, rows) {
  const made = element("table");
  const head = made.createTHead().insertRow();
  for (const text of heads) head.append(element("th", text));
  const body = made.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const text of row) line.insertCell().textContent = text;
  }
  return made;
}

function deployment(d) {
  const made = element("section");
  made.append(element("h2", d.name));
  made.append(element("p", `${d.phase}, epoch ${d.epoch}, ${megabytes(d.loadedBytes)} of ${megabytes(d.totalBytes)}, ` +
    `${d.tokensPerSecond.toFixed(1)} tokens/s, ${d.active} generations`));
  if (d.problem) made.append(element("p", d.problem, "problem"));
  made.append(table(["Stage", "Node", "Layers", "Phase", "Memory"],
    d.stages.map(s => [`${s.pipeline}.${s.stage}`, s.node, `${s.firstLayer}-${s.lastLayer}`, s.phase, megabytes(s.memoryBytes)])));
  return made;
}

async function refresh() {
  const main = document.getElementById("status");
  try {
    const status = await (await fetch("/status.json", { cache: "no-store" })).json();
    const nodes = element("section");
    nodes.append(element("h2", "Nodes"), table(["Node", "Process", "Cores", "Memory", "Version"],
      status.nodes.map(n => [n.name, n.processId, n.cores, `${megabytes(n.memoryUsedBytes)} of ${megabytes(n.memoryBytes)}`, n.version])));
    main.replaceChildren(element("p", "Cell " + status.tenant), ...status.deployments.map(deployment), nodes);
    main.classList.remove("stale");
  } catch {
    main.classList.add("stale");
  }
  setTimeout(refresh, 1000);
}

setTimeout(refresh, 1000);
