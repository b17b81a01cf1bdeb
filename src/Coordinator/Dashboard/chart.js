// Two charts, without dependency. The same figures stand in tables and texts beside them, so the pictures are decoration to a screen reader.
const spanSeconds = 300;
const dashes = [[], [6, 3], [2, 3], [8, 3, 2, 3]];
export const fills = 6;

// A line for each series over the last minutes, drawn on a canvas.
export class FlowChart {
  constructor(parent) {
    this.series = new Map();
    this.canvas = document.createElement("canvas");
    this.canvas.className = "chart";
    this.canvas.setAttribute("aria-hidden", "true");
    this.legend = document.createElement("p");
    this.legend.className = "dim";
    parent.replaceChildren(this.canvas, this.legend);
  }

  add(at, values) {
    for (const name of this.series.keys()) if (!(name in values)) values[name] = 0;
    for (const [name, value] of Object.entries(values)) {
      if (!this.series.has(name)) this.series.set(name, []);
      const points = this.series.get(name);
      points.push([at, value]);
      while (points.length && points[0][0] < at - spanSeconds * 1000) points.shift();
    }
    this.draw(at);
  }

  draw(now) {
    const { canvas } = this;
    const scale = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== width * scale) canvas.width = width * scale;
    if (canvas.height !== height * scale) canvas.height = height * scale;
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    const top = Math.max(1, ...[...this.series.values()].flat().map(point => point[1]));
    const style = getComputedStyle(canvas);
    context.strokeStyle = context.fillStyle = style.color;
    context.globalAlpha = .35;
    context.strokeRect(.5, .5, width - 1, height - 1);
    context.globalAlpha = 1;
    context.font = "12px system-ui, sans-serif";
    context.fillText(top.toFixed(0), 4, 14);
    let index = 0;
    for (const points of this.series.values()) {
      context.setLineDash(dashes[index++ % dashes.length]);
      context.beginPath();
      points.forEach(([at, value], i) => {
        const x = width * (1 - (now - at) / (spanSeconds * 1000)), y = height - 2 - (height - 20) * value / top;
        if (i) context.lineTo(x, y); else context.moveTo(x, y);
      });
      context.stroke();
    }
    context.setLineDash([]);
    this.legend.textContent = [...this.series].map(([name, points]) => `${name}: ${points.at(-1)[1].toFixed(1)}`).join(" · ") || "nothing is served yet";
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
