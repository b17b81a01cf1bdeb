// The dashboard: signs in, follows /dashboard/events, asks before every change. The session's cookie cannot be read here; the token that goes with changes lives in this module alone.
import { FlowChart } from "./chart.js";
import { askRules, quotaTable, rulesText } from "./quotas.js";
import { usage } from "./usage.js";
import { answers, button, byId, cell, certificates, element, focusOn, refill, table } from "./view.js";

let session = null;
let events = null;
let chart = null;
let tenants = [];
let keys = [];

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

// Asks before a change. The focus goes back to the button that asked, which may have been drawn anew meanwhile.
async function ask(title, text, verb, list = []) {
  const from = document.activeElement?.getAttribute("aria-label");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-list").replaceChildren(...list.map(line => element("li", { text: line })));
  byId("confirm-yes").textContent = verb;
  const dialog = byId("confirm");
  dialog.returnValue = "no";
  dialog.showModal();
  const answer = await new Promise(resolve => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
  if (from) focusOn(from);
  return answer;
}

// Runs a change that its reader has confirmed, then shows the lists anew.
async function change(title, text, verb, method, path, { body, list } = {}) {
  if (!await ask(title, text, verb, list)) return;
  try {
    await call(method, path, body);
    say(`${title}: done`);
  } catch (error) {
    say(`${title}: ${error.message}`);
  }
  await showLists();
}

// Looks first whom a change would touch; without an answer there is nothing to confirm.
async function preview(title, path, then) {
  let found;
  try {
    found = await call("GET", path);
  } catch (error) {
    say(`${title}: ${error.message}`);
    return;
  }
  await then(found);
}

const touched = (affected, verb) => [
  `${affected.answers} running ${affected.answers === 1 ? "answer" : "answers"} ${verb}`,
  ...(affected.keys.length ? [`keys that are answered now: ${affected.keys.join(", ")}`] : []),
];

const places = stages => stages.map(s => `${s.node} ${s.firstLayer}–${s.lastLayer}`).join(", ");

function drain(tenant, node, deployments) {
  const text = deployments.length
    ? `Its layers of ${deployments.map(d => `${d.name} (${d.active} generations)`).join(", ")} move to other nodes; running answers go on.`
    : "It holds no layers.";
  return change(`Drain ${node}`, `${text} Then the node leaves the cell and ends.`, "Drain", "POST", `/admin/cells/${tenant}/nodes/${node}/drain`);
}

function replan(tenant, name, roll) {
  const path = `/admin/cells/${tenant}/deployments/${name}/${roll ? "roll" : "replan"}`, title = `${roll ? "Roll" : "Re-plan"} ${name}`;
  return preview(title, path, async plan => {
    const replaced = plan.pipelines.filter(p => p.replaced);
    const lines = plan.pipelines.map(p => p.replaced ? `epoch ${p.epoch}: ${places(p.now)} becomes ${places(p.then)}` : `epoch ${p.epoch}: ${places(p.now)} stays${p.problem ? `, because ${p.problem}` : ""}`);
    if (!replaced.length) {
      say(`${title}: nothing would change; ${lines.join("; ") || "no pipeline serves"}`);
      return;
    }
    await change(title, `${replaced.length} of ${plan.pipelines.length} ${plan.pipelines.length === 1 ? "pipeline is" : "pipelines are"} loaded anew, each beside the one that serves until it takes its place.`,
      roll ? "Roll" : "Re-plan", "POST", path, { list: [...lines, ...touched(plan.affected, "would go on")] });
  });
}

function pause(tenant) {
  return preview(`Suspend ${tenant}`, `/admin/suspensions/preview?kind=tenant&name=${tenant}`, found => change(
    `Suspend ${tenant}`, "Its keys stop working within a second.", "Suspend", "POST", `/admin/tenants/${tenant}/suspend`, { list: touched(found.affected, "would end") }));
}

function revoke(key) {
  return preview(`Revoke ${key.name}`, `/admin/suspensions/preview?kind=key&name=${key.id}`, found => change(
    `Revoke ${key.name}`, "It stops working within a second. This cannot be undone.", "Revoke", "POST", `/admin/keys/${key.id}/revoke`, { list: touched(found.affected, "would end") }));
}

async function editQuotas(tenant, scope) {
  const title = `Quotas of ${scope.name} of ${tenant}`, from = document.activeElement?.getAttribute("aria-label");
  const rules = await askRules(title, scope.rules ?? {});
  if (from) focusOn(from);
  if (rules === undefined) return;
  const path = `/admin/tenants/${tenant}/quotas${scope.path}`;
  await change(title, "The new rules hold within a second, for requests that come from then on.", "Save", rules ? "PUT" : "DELETE", path,
    { body: rules ?? undefined, list: [`now: ${rulesText(scope.rules)}`, `then: ${rulesText(rules)}`] });
}

const actions = {
  node: (tenant, node, held) => button("Drain", `Drain ${node} of ${tenant}`, () => drain(tenant, node, held)),
  deployment: (tenant, d) => [
    button("Re-plan", `Re-plan ${d.name} of ${tenant}`, () => replan(tenant, d.name, false), false),
    button("Roll", `Roll ${d.name} of ${tenant}`, () => replan(tenant, d.name, true), false),
  ],
};

function show(snapshot) {
  const values = {};
  for (const c of snapshot.cells) for (const d of c.status.deployments) values[`${c.status.tenant}/${d.name}`] = d.tokensPerSecond;
  chart.add(snapshot.at, values);
  refill(byId("cells"), () => snapshot.cells.map(c => cell(c, actions)));
  refill(byId("running"), () => [answers(snapshot.generations, g => button("Cancel", `Cancel ${g.id}`, () =>
    change(`Cancel ${g.id}`, `The answer of ${g.model} to ${g.tenant} ends after ${g.tokens} tokens.`, "Cancel it", "POST", `/admin/generations/${g.id}/cancel`)))]);
  refill(byId("certificates"), () => [certificates(snapshot.certificates)]);
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
  if (!session) return;
  tenants = (await optional("/admin/tenants"))?.data ?? [];
  keys = (await optional("/admin/keys"))?.data ?? [];
  const audit = await optional("/admin/audit?limit=50");
  if (!session) return;
  refill(byId("tenants"), () => [table("tenants", ["Tenant", "Since", "State", ""], tenants.map(t => [
    t.id, t.created?.slice(0, 10) ?? "", t.suspended ? `suspended since ${t.suspended.slice(0, 16).replace("T", " ")}` : "active",
    !session.operator ? "" : t.suspended
      ? button("Resume", `Resume ${t.id}`, () => change(`Resume ${t.id}`, "Its keys work again.", "Resume", "POST", `/admin/tenants/${t.id}/resume`), false)
      : button("Suspend", `Suspend ${t.id}`, () => pause(t.id)),
  ]))]);
  refill(byId("keys"), () => [table("keys", ["Key", "Tenant", "Name", "Scopes", "Expires", "Last used", ""], keys.map(k => [
    k.id, k.tenant ?? "operators", k.name, k.scopes.join(", "), k.expires?.slice(0, 10) ?? "never", k.last_used ?? "never",
    k.revoked ? `revoked ${k.revoked.slice(0, 10)}` : button("Revoke", `Revoke ${k.name}`, () => revoke(k)),
  ]))]);
  byId("audit-section").hidden = !audit;
  if (audit) refill(byId("audit"), () => [table("audit trail", ["Time", "Who", "Tenant", "What", "Result"], audit.data.map(e => [
    e.time.slice(0, 19).replace("T", " "), e.actor, e.tenant ?? "", [e.action, e.target, e.model].filter(Boolean).join(" "), e.result]))]);
  await showUsage();
}

async function showUsage() {
  const select = byId("usage-tenant"), chosen = select.value;
  if ([...select.options].map(option => option.value).join() !== tenants.map(t => t.id).join()) {
    select.replaceChildren(...tenants.map(t => element("option", { text: t.id })));
    select.value = tenants.some(t => t.id === chosen) ? chosen : tenants[0]?.id ?? "";
  }
  const tenant = select.value, days = Number(byId("usage-days").value);
  const [used, quotas] = tenant ? await Promise.all([optional(`/admin/usage/${tenant}?days=${days}`), optional(`/admin/tenants/${tenant}/quotas`)]) : [null, null];
  byId("usage-section").hidden = !used;
  if (!used || !session || select.value !== tenant) return;
  refill(byId("usage"), () => usage(tenant, used.data, days));
  const own = keys.filter(key => key.tenant === tenant && !key.revoked);
  if (quotas) refill(byId("quotas"), () => [
    element("h3", { text: "Quotas" }), quotaTable(tenant, quotas, own, session.operator && (scope => editQuotas(tenant, scope))),
    ...(session.operator ? own.filter(key => !quotas.keys[key.id]).map(key =>
      button(`Give ${key.name} rules of its own`, `Give ${key.name} of ${tenant} quotas of its own`, () => editQuotas(tenant, { path: `/${key.id}`, name: `key ${key.name}`, rules: {} }), false)) : []),
  ]);
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
for (const id of ["usage-tenant", "usage-days"]) byId(id).addEventListener("change", showUsage);
setInterval(() => { if (session && !document.hidden && !document.querySelector("dialog[open]")) showLists(); }, 10000);

try {
  await signedIn(await call("GET", "/dashboard/session"));
} catch {
  signedOut();
}
