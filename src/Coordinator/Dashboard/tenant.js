// A tenant's own view: reads with the key that its reader typed, which is kept in this module's memory and nowhere else; there is nothing to change here.
import { FlowChart } from "./chart.js";
import { isoDay, usage } from "./usage.js";
import { answers, byId, cell, element, refill, table } from "./view.js";

const spanDays = 30;
let key = null;
let stream = null;
let chart = null;

const headers = () => key ? { Authorization: `Bearer ${key}` } : {};

async function read(path) {
  const answer = await fetch(path, { headers: headers(), cache: "no-store" });
  const json = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(json.error?.message ?? `the coordinator answered ${answer.status}`), { status: answer.status });
  return json;
}

function show(snapshot) {
  const values = {};
  for (const c of snapshot.cells) for (const d of c.status.deployments) values[d.name] = d.tokensPerSecond;
  chart.add(snapshot.at, values);
  refill(byId("cells"), () => snapshot.cells.map(c => cell(c)));
  refill(byId("running"), () => [answers(snapshot.generations)]);
  document.body.classList.remove("stale");
}

// An EventSource sends no Authorization header, so the events are read as they come.
async function follow(abort) {
  const answer = await fetch("/tenant/events", { headers: headers(), cache: "no-store", signal: abort.signal });
  if (!answer.ok) throw new Error(`the coordinator answered ${answer.status}`);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (text + value).split("\n\n");
    text = events.pop();
    if (events.length) show(JSON.parse(events.at(-1).slice("data: ".length)));
  }
}

async function followOn(abort) {
  while (!abort.signal.aborted) {
    try {
      await follow(abort);
    } catch (error) {
      if (abort.signal.aborted) return;
      console.info(error.message);
    }
    document.body.classList.add("stale");
    await new Promise(resolve => setTimeout(resolve, 1000));
    try {
      await read("/tenant/quotas");
    } catch (error) {
      if (error.status === 401 || error.status === 403) return forget(error.message);
    }
  }
}

async function showUsage() {
  const from = isoDay(Date.now() - (spanDays - 1) * 86400000), to = isoDay(Date.now());
  const used = await read(`/v1/usage?from=${from}&to=${to}`).catch(() => null);
  if (used) refill(byId("usage"), () => usage(used.tenant, used.data, spanDays));
  const quotas = await read("/tenant/quotas");
  const rules = (name, of) => [name, Object.entries(of).map(([field, value]) => `${field}: ${value.toLocaleString("en")}`).join("; ") || "no limit"];
  byId("quotas").replaceChildren(element("h3", { text: "Quotas" }), table("quotas", ["Of", "Rules"], [rules(`tenant ${quotas.tenant}`, quotas.ofTenant), rules(quotas.key ? `key ${quotas.key}` : "each key", quotas.ofKey)]));
  return quotas.tenant;
}

function forget(why) {
  key = null;
  stream?.abort();
  stream = null;
  byId("board").hidden = byId("logout").hidden = true;
  byId("login").hidden = false;
  byId("state").textContent = "";
  byId("refusal").textContent = why;
  byId("key").focus();
}

async function begin() {
  chart = new FlowChart(byId("flow"));
  const tenant = await showUsage();
  byId("login").hidden = true;
  byId("board").hidden = false;
  byId("logout").hidden = key === null;
  byId("state").textContent = `tenant ${tenant}`;
  stream = new AbortController();
  followOn(stream);
}

byId("login").addEventListener("submit", async event => {
  event.preventDefault();
  key = byId("key").value.trim();
  byId("key").value = "";
  byId("refusal").textContent = "";
  try {
    await begin();
  } catch (error) {
    forget(error.message);
  }
});
byId("logout").addEventListener("click", () => forget(""));
setInterval(() => { if (stream && !document.hidden) showUsage().catch(() => {}); }, 30000);

// On a loopback address the API may need no key.
try {
  await begin();
} catch {
  forget("");
}
