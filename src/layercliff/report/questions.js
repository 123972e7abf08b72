// A question that is opened shows its options and its decision margin at every depth, of the dense and of pruned models.
const asked = read("asked");

function options(question) {
  const list = document.createElement("ul");
  asked.options[question].forEach((option, number) => {
    const item = document.createElement("li");
    item.textContent = option;
    const who = asked.models.filter(model => model.answered[question] === number).map(model => model.name);
    const marks = [number === asked.gold[question] && ["right", "gold"], who.length && [number === asked.gold[question] ? "right" : "wrong", "answered: " + who.join("; ")]];
    for (const [kind, text] of marks.filter(Boolean)) {
      const mark = document.createElement("span");
      mark.className = "mark " + kind;
      mark.textContent = text;
      item.append(" ", mark);
    }
    list.append(item);
  });
  return list;
}

function figure(question) {
  const models = asked.models.filter(model => model.margins[question]), drawn = structuredClone(asked.figure);
  const margins = models.flatMap(model =>
    model.margins[question].map((margin, number) => ({
      model: model.name, depth: model.depths[number], "written by": asked.written[model.depths[number]], margin: margin / asked.unit,
    })));
  for (const { encoding } of drawn.layer)
    if (encoding?.color) encoding.color.legend.values = models.map(model => model.name);  // only those that were asked
  return { ...drawn, datasets: { ...drawn.datasets, question: margins } };
}

function show(row) {
  const question = row.dataset.question, detail = document.createElement("tr"), cell = detail.insertCell(), chart = document.createElement("div");
  detail.className = "detail";
  cell.colSpan = row.cells.length;
  chart.className = "chart";
  cell.append(options(question), chart);
  row.after(detail);
  draw(chart, figure(question)).then(drawn => { detail.drawn = drawn; }).catch(console.error);
}

function hide(detail) {
  detail.drawn?.finalize();
  detail.remove();
}

document.querySelector("#questions tbody").addEventListener("click", event => {
  const row = event.target.closest("tr[data-question]"), isButton = event.target.matches("button");
  if (!row || !isButton && String(getSelection())) return;  // text of the row is being selected
  const button = row.querySelector("button"), isOpen = button.getAttribute("aria-expanded") === "true";
  button.setAttribute("aria-expanded", !isOpen);
  if (isOpen) hide(row.nextElementSibling); else show(row);
});
