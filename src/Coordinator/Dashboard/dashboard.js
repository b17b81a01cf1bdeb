// The dashboard: signs in, follows /dashboard/events, asks before every change. The session's cookie cannot be read here; the token that goes with changes lives in this module alone.
import { FlowChart, columns } from "/dashboard/chart.js";
import { button, cell, element, table } from "/dashboard/view.js";

const byId = id => document.getElementById(id);
let session = null;
let events = null;
let chart = null;

async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: { ...(session ? { "X-Lamina-Csrf": session.csrf } : {}), ...(body ? { "Content-Type": "application/json" } : {}) },
    body: body ? JSON.stringify(body) : undefined,
    cache: "no-store",
  });
  const text = await answer.text();
  const json = text ? JSON.parse(text) : null;
  if (answer.status === 401 && session) signedOut();
  if (!answer.ok) throw Object.assign(new Error(json?.error?.message ?? `the coordinator answered ${answer.status}`), { status: answer.status });
  return json;
}

function say(text) { byId("state").textContent = text; }

function ask(title, text, verb) {
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-yes").textContent = verb;
  const dialog = byId("confirm");
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise(resolve => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

// Runs a change that its reader has confirmed, then shows the lists anew.
async function change(title, text, verb, method, path, body) {
  if (!await ask(title, text, verb)) return;
  try {
    await call(method, path, body);
    say(`${title}: done`);
  } catch (error) {
    say(`${title}: ${error.message}`);
  }
  await showLists();
}

function drain(tenant, node, deployments) {
  const touched = deployments.length
    ? `Its layers of ${deployments.map(d => `${d.name} (${d.active} generations)`).join(", ")} move to other nodes; running answers go on.`
    : "It holds no layers.";
  return change(`Drain ${node}`, `${touched} Then the node leaves the cell and ends.`, "Drain", "POST", `/admin/cells/${tenant}/nodes/${node}/drain`);
}

// Builds a list anew without taking it from under its reader: not while a button is held down, and the focus goes back to the button it was on.
function refill(list, build) {
  if (list.matches(":has(button:active)")) return;
  const focused = list.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
  list.replaceChildren(...build());
  if (focused) list.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function show(snapshot) {
  const values = {};
  for (const c of snapshot.cells) for (const d of c.status.deployments) values[`${c.status.tenant}/${d.name}`] = d.tokensPerSecond;
  chart.add(snapshot.at, values);

  refill(byId("cells"), () => snapshot.cells.map(c => cell(c, drain)));
  const list = snapshot.generations ?? [];
  byId("running-section").hidden = !snapshot.generations;
  refill(byId("running"), () => [table("running generations", ["Generation", "Tenant", "Model", "Key", "Tokens", "Age", ""], list.map(g => [
      g.id, g.tenant, g.model, g.key ?? "", { number: String(g.tokens) }, { number: `${g.ageSeconds.toFixed(0)} s` },
      button("Cancel", `Cancel ${g.id}`, () => change(`Cancel ${g.id}`, `The answer of ${g.model} to ${g.tenant} ends after ${g.tokens} tokens.`, "Cancel it", "POST", `/admin/generations/${g.id}/cancel`)),
  ]))]);
  document.body.classList.remove("stale");
}

// The parts that other routes bring; one that this coordinator does not have stays hidden.
async function optional(path) {
  try {
    return await call("GET", path);
  } catch {
    return null;
  }
}

async function showLists() {
  const tenants = (await optional("/admin/tenants"))?.data ?? [];
  byId("tenants").replaceChildren(table("tenants", ["Tenant", "Since", "State", ""], tenants.map(t => [
    t.id, t.created?.slice(0, 10) ?? "", t.suspended ? `suspended since ${t.suspended.slice(0, 16).replace("T", " ")}` : "active",
    !session?.operator ? "" : t.suspended
      ? button("Resume", `Resume ${t.id}`, () => change(`Resume ${t.id}`, "Its keys work again.", "Resume", "POST", `/admin/tenants/${t.id}/resume`), false)
      : button("Suspend", `Suspend ${t.id}`, () => change(`Suspend ${t.id}`, "Its keys stop working within a second and its running answers end.", "Suspend", "POST", `/admin/tenants/${t.id}/suspend`)),
  ])));
  const keys = (await optional("/admin/keys"))?.data ?? [];
  byId("keys").replaceChildren(table("keys", ["Key", "Tenant", "Name", "Scopes", "Expires", "Last used", ""], keys.map(k => [
    k.id, k.tenant ?? "operators", k.name, k.scopes.join(", "), k.expires?.slice(0, 10) ?? "never", k.last_used ?? "never",
    k.revoked ? `revoked ${k.revoked.slice(0, 10)}` : button("Revoke", `Revoke ${k.name}`, () =>
      change(`Revoke ${k.name}`, "It stops working within a second and what it started ends. This cannot be undone.", "Revoke", "POST", `/admin/keys/${k.id}/revoke`)),
  ])));
  await showUsage(tenants.map(t => t.id));
  const audit = await optional("/admin/audit?limit=50");
  byId("audit-section").hidden = !audit;
  if (audit) byId("audit").replaceChildren(table("audit trail", ["Time", "Who", "Tenant", "What", "Result"], audit.data.map(e => [
    e.time.slice(0, 19).replace("T", " "), e.actor, e.tenant ?? "", [e.action, e.target, e.model].filter(Boolean).join(" "), e.result])));
}

// Thirty days of a tenant's tokens as a chart of columns, and today by key and model.
async function showUsage(tenants) {
  const parts = [];
  for (const tenant of tenants.slice(0, 20)) {
    const rows = (await optional(`/admin/usage/${tenant}?days=30`))?.data;
    if (!rows) continue;
    const days = new Map();
    for (let back = 29; back >= 0; back--) days.set(new Date(Date.now() - back * 86400000).toISOString().slice(0, 10), 0);
    for (const row of rows) days.set(row.day, (days.get(row.day) ?? 0) + row.prompt_tokens + row.generated_tokens);
    parts.push(element("h3", { text: tenant }), columns([...days].sort()), table(`usage of ${tenant}`, ["Day", "Key", "Model", "Requests", "Prompt tokens", "Generated tokens"],
      rows.slice(-20).reverse().map(row => [row.day, row.key ?? "", row.model, { number: String(row.requests) }, { number: String(row.prompt_tokens) }, { number: String(row.generated_tokens) }])));
  }
  byId("usage-section").hidden = !parts.length;
  byId("usage").replaceChildren(...parts);
}

function signedOut() {
  session = null;
  events?.close();
  byId("board").hidden = byId("logout").hidden = true;
  byId("login").hidden = false;
  say("");
  byId("key").focus();
}

async function signedIn(opened) {
  session = opened;
  byId("login").hidden = true;
  byId("board").hidden = byId("logout").hidden = false;
  say(session.operator ? "signed in as an operator" : `signed in for ${session.tenant}`);
  chart = new FlowChart(byId("flow"));
  events = new EventSource("/dashboard/events");
  events.onmessage = message => show(JSON.parse(message.data));
  events.onerror = async () => {
    document.body.classList.add("stale");
    try { await call("GET", "/dashboard/session"); } catch { /* A lost coordinator: the browser dials again by itself. */ }
  };
  await showLists();
}

byId("login").addEventListener("submit", async event => {
  event.preventDefault();
  byId("refusal").textContent = "";
  try {
    const opened = await call("POST", "/dashboard/login", { key: byId("key").value });
    byId("key").value = "";
    await signedIn(opened);
  } catch (error) {
    byId("refusal").textContent = error.message;
  }
});
byId("logout").addEventListener("click", async () => {
  await call("POST", "/dashboard/logout").catch(() => {});
  signedOut();
});
setInterval(() => { if (session && !document.hidden && !document.activeElement?.closest("#tenants, #keys, #audit")) showLists(); }, 10000);

try {
  await signedIn(await call("GET", "/dashboard/session"));
} catch {
  signedOut();
}
