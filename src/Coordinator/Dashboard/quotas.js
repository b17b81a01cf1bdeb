// The rules of a tenant: shown as a table, changed in a form.
import { button, byId, element, table } from "./view.js";

// Field of the rules, what it is called, and the least and the most that it may be.
const most = 1e12;
export const fields = [
  ["requestsPerMinute", "Requests a minute", 1, most], ["requestsPerDay", "Requests a day", 1, most],
  ["promptTokensPerMinute", "Prompt tokens a minute", 1, most], ["promptTokensPerDay", "Prompt tokens a day", 1, most],
  ["generatedTokensPerMinute", "Generated tokens a minute", 1, most], ["generatedTokensPerDay", "Generated tokens a day", 1, most],
  ["concurrentGenerations", "Generations at a time", 1, 100000], ["queueLength", "Requests that may wait", 0, 100000],
  ["kvBytes", "Bytes of cache", 1, 2 ** 50], ["priority", "Priority", -100, 100], ["weight", "Share beside equals", 1, 1000],
];

const shown = rules => fields.filter(([field]) => rules[field] !== undefined).map(([field, name]) => `${name}: ${rules[field].toLocaleString("en")}`)
  .concat(rules.models ? [`Models: ${rules.models.join(", ")}`] : [])
  .concat(rules.sharePrefixes === undefined ? [] : [rules.sharePrefixes ? "Cached prompts shared" : "Cached prompts of its own"]).join("; ") || "no limit";

const emptyRules = rules => Object.keys(rules).length === 0;

// Scopes of a tenant's rules: the tenant as a whole (path ""), each key ("/*"), and keys with rules of their own.
export function scopes(quotas, keys) {
  return [
    { path: "", name: "the tenant as a whole", rules: quotas.tenant },
    { path: "/*", name: "each key", rules: quotas.eachKey },
    ...keys.map(key => ({ path: `/${key.id}`, name: `key ${key.name} (${key.id})`, rules: quotas.keys[key.id] })).filter(scope => scope.rules),
  ];
}

export function quotaTable(tenant, quotas, keys, edit) {
  const rows = scopes(quotas, keys).map(scope => [scope.name, shown(scope.rules), ...(edit ? [button("Edit", `Edit quotas of ${scope.name} of ${tenant}`, () => edit(scope), false)] : [])]);
  return table(`quotas of ${tenant}`, ["Of", "Rules", ...(edit ? [""] : [])], rows);
}

export const rulesText = rules => shown(rules ?? {});

// Opens the form; gives the rules that were entered, null to have none, undefined when it was left without saving.
export function askRules(title, rules) {
  const dialog = byId("quota-dialog");
  byId("quota-title").textContent = title;
  byId("quota-fields").replaceChildren(...fields.flatMap(([field, name, min, max]) => [
    element("label", { for: `quota-${field}`, text: name }),
    element("input", { id: `quota-${field}`, type: "number", min, max, step: "1", value: rules[field] ?? "", placeholder: "no limit" }),
  ]), element("label", { for: "quota-models", text: "Models, with commas between" }),
  element("input", { id: "quota-models", type: "text", value: rules.models?.join(", ") ?? "", placeholder: "all" }));
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise(resolve => dialog.addEventListener("close", () => {
    if (dialog.returnValue !== "yes") return resolve(undefined);
    const entered = rules.sharePrefixes === undefined ? {} : { sharePrefixes: rules.sharePrefixes };
    for (const [field] of fields) {
      const text = byId(`quota-${field}`).value;
      if (text !== "") entered[field] = Number(text);
    }
    const models = byId("quota-models").value.split(",").map(name => name.trim()).filter(Boolean);
    if (models.length) entered.models = models;
    resolve(emptyRules(entered) ? null : entered);
  }, { once: true }));
}
