// Colours are the page's own variables, so that figures follow it into the dark and onto paper.
const look = {
  background: "transparent", font: "Helvetica, Arial, sans-serif", view: { stroke: null }, text: { color: "var(--soft)" },
  axis: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", labelColor: "var(--soft)", titleColor: "var(--soft)", gridColor: "var(--line)", domainColor: "var(--line)", tickColor: "var(--line)" },
  legend: { labelFontSize: 12, labelColor: "var(--soft)", titleColor: "var(--soft)", labelLimit: 160, ...(innerWidth < 600 ? { orient: "top", direction: "horizontal", columns: 3 } : {}) },
};

function draw(element, specification) {
  return vegaEmbed(element, specification, { config: look, actions: false, renderer: "svg" });
}

for (const [name, specification] of Object.entries(JSON.parse(document.getElementById("figures").textContent)))
  draw(document.getElementById("chart-" + name), specification).catch(console.error);
