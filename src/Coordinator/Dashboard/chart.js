// Two charts. The same figures stand in tables and texts beside them, so the pictures are decoration to a screen reader.
import { element } from "./view.js";

const spanSeconds = 300;
const dashes = [[], [6, 3], [2, 3], [8, 3, 2, 3]];
export const fills = 6;

// A line for each series over the last minutes, drawn by uPlot; the legend says what is under the pointer, else the latest.
export class FlowChart {
  constructor(parent) {
    this.times = [];
    this.series = new Map();
    this.holder = element("div", { class: "chart", "aria-hidden": "true" });
    this.legend = element("ul", { class: "legend" });
    parent.replaceChildren(this.holder, this.legend);
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(this.holder);
  }

  add(at, values) {
    const now = at / 1000, known = this.series.size;
    for (const name of Object.keys(values)) if (!this.series.has(name)) this.series.set(name, this.times.map(() => null));
    this.times.push(now);
    for (const [name, points] of this.series) points.push(values[name] ?? 0);
    while (this.times[0] < now - spanSeconds) for (const points of [this.times, ...this.series.values()]) points.shift();
    if (this.series.size > known) this.build();
    else this.plot?.setData([this.times, ...this.series.values()]);
    this.tell(this.plot?.cursor.idx);
  }

  size() {
    return { width: this.holder.clientWidth, height: this.holder.clientHeight };
  }

  build() {
    this.plot?.destroy();
    this.swatches = [...this.series.keys()].map((_, i) => element("span", { class: `swatch part-${i % fills}`, "aria-hidden": "true" }));
    this.amounts = this.swatches.map(() => element("span"));
    this.legend.replaceChildren(...[...this.series.keys()].map((name, i) => element("li", {}, this.swatches[i], `${name}: `, this.amounts[i])));

    // Colours are asked for at each drawing, since light may become dark.
    const text = () => getComputedStyle(this.holder).color, line = () => getComputedStyle(this.holder).borderTopColor;
    const axis = { stroke: text, font: "12px system-ui, sans-serif", grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    this.plot = new uPlot({
      ...this.size(),
      legend: { show: false },
      cursor: { y: false, drag: { setScale: false, x: false, y: false } },
      scales: { x: { range: () => [this.times.at(-1) - spanSeconds, this.times.at(-1)] }, y: { range: (_, low, high) => [0, Math.max(1, high * 1.05)] } },
      axes: [
        { ...axis, size: 28, values: (_, splits) => splits.map(at => new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })), incrs: [60, 120, 300] },
        { ...axis, size: 48 },
      ],
      series: [{}, ...[...this.series.keys()].map((name, i) => ({ label: name, stroke: () => getComputedStyle(this.swatches[i]).backgroundColor, width: 2, dash: dashes[i % dashes.length], points: { show: false } }))],
      hooks: { setCursor: [plot => this.tell(plot.cursor.idx)] },
    }, [this.times, ...this.series.values()], this.holder);
  }

  tell(index) {
    [...this.series.values()].forEach((points, i) => this.amounts[i].textContent = (points[index ?? points.length - 1] ?? 0).toFixed(1));
  }
}

const space = "http://www.w3.org/2000/svg";
function drawn(name, attributes) {
  const made = document.createElementNS(space, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// Stacked columns as SVG, which scales with the page: for each day the amounts of all parts, in their order.
export function columns(days, label) {
  const drawing = drawn("svg", { viewBox: `0 0 ${Math.max(1, days.length) * 12} 60`, preserveAspectRatio: "none", class: "columns", "aria-hidden": "true" });
  const top = Math.max(1, ...days.map(day => day.amounts.reduce((sum, amount) => sum + amount, 0)));
  days.forEach((day, index) => {
    let y = 60;
    day.amounts.forEach((amount, part) => {
      const height = 60 * amount / top;
      y -= height;
      const column = drawn("rect", { x: index * 12 + 1, y, width: 10, height, class: `part-${part % fills}` });
      const title = drawn("title", {});
      title.textContent = label(day.day, part, amount);
      column.append(title);
      drawing.append(column);
    });
  });
  drawing.append(drawn("path", { d: `M0 59.7H${Math.max(1, days.length) * 12}`, class: "axis" }));
  return drawing;
}
