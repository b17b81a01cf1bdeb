// Usage of a tenant over time: rows of {day, key, model, requests, prompt_tokens, generated_tokens} as a chart of tokens by day and key, and as sums.
import { columns, fills } from "./chart.js";
import { element, table } from "./view.js";

const dayMilliseconds = 86400000;
const tokens = row => row.prompt_tokens + row.generated_tokens;
const nameOf = row => row.key ?? "local";
const figure = number => ({ number: number.toLocaleString("en") });

export const isoDay = at => new Date(at).toISOString().slice(0, 10);

function sums(rows, keyOf) {
  const found = new Map();
  for (const row of rows) {
    const name = keyOf(row);
    if (!found.has(name)) found.set(name, { requests: 0, prompt_tokens: 0, generated_tokens: 0 });
    const sum = found.get(name);
    for (const field of Object.keys(sum)) sum[field] += row[field];
  }
  return found;
}

const counted = sum => [figure(sum.requests), figure(sum.prompt_tokens), figure(sum.generated_tokens)];

export function usage(tenant, rows, span) {
  // The busiest keys have a fill of their own, the others share the last.
  const byKey = [...sums(rows, nameOf)].sort((a, b) => tokens(b[1]) - tokens(a[1]));
  const parts = byKey.slice(0, byKey.length > fills ? fills - 1 : fills).map(([key]) => key);
  if (byKey.length > fills) parts.push("others");
  const partOf = row => Math.max(0, parts.includes(nameOf(row)) ? parts.indexOf(nameOf(row)) : parts.length - 1);
  const days = Array.from({ length: span }, (_, i) => ({ day: isoDay(Date.now() - (span - 1 - i) * dayMilliseconds), amounts: parts.map(() => 0) }));
  for (const row of rows) {
    const day = days.find(one => one.day === row.day);
    if (day) day.amounts[partOf(row)] += tokens(row);
  }

  const today = sums(rows.filter(row => row.day === days.at(-1).day), () => "today").get("today") ?? { requests: 0, prompt_tokens: 0, generated_tokens: 0 };
  return [
    element("p", { class: "dim", text: `Tokens by day and key, ${days[0].day} to ${days.at(-1).day}; today ${today.requests} requests, ${today.prompt_tokens} prompt tokens, ${today.generated_tokens} generated tokens.` }),
    columns(days, (day, part, amount) => `${day}, ${parts[part]}: ${amount} tokens`),
    element("ul", { class: "legend" }, ...parts.map((part, i) => element("li", {}, element("span", { class: `swatch part-${i % fills}`, "aria-hidden": "true" }), part))),
    table(`usage of ${tenant} by key and model`, ["Key", "Model", "Requests", "Prompt tokens", "Generated tokens"], [...sums(rows, row => `${nameOf(row)}\n${row.model}`)].map(([name, sum]) =>
      [...name.split("\n"), ...counted(sum)])),
    table(`usage of ${tenant} by day`, ["Day", "Requests", "Prompt tokens", "Generated tokens"], [...sums(rows, row => row.day)].sort((a, b) => b[0].localeCompare(a[0])).slice(0, 31).map(([day, sum]) =>
      [day, ...counted(sum)])),
  ];
}
