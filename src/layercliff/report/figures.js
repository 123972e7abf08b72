// Colours are the page's own variables, so that figures follow it into the dark and onto paper. Legends have as many columns as the page has room for.
const columns = Math.max(1, Math.floor(innerWidth / 170));
const look = {
  background: "transparent", font: "Helvetica, Arial, sans-serif", view: { stroke: null }, text: { color: "var(--soft)" },
  axis: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", labelColor: "var(--soft)", titleColor: "var(--soft)", gridColor: "var(--line)", domainColor: "var(--line)", tickColor: "var(--line)" },
  legend: { labelFontSize: 12, labelColor: "var(--soft)", titleColor: "var(--soft)", labelLimit: 150, symbolBaseFillColor: "var(--soft)", symbolBaseStrokeColor: "var(--soft)", ...(innerWidth < 600 ? { orient: "top", direction: "horizontal", columns, layout: { bottom: { direction: "vertical" } } } : {}) },
};

function read(id) {
  return JSON.parse(document.getElementById(id).textContent, (name, value) => name === "columns" ? Math.min(value, columns) : value);
}

function draw(element, specification) {
  return vegaEmbed(element, specification, { config: look, actions: false, renderer: "svg" });
}

for (const [name, specification] of Object.entries(read("figures")))
  draw(document.getElementById("chart-" + name), specification).catch(console.error);
