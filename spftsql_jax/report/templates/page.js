(() => {
  const form = document.getElementById("filter");
  if (!form) return;
  const examples = [...document.querySelectorAll(".example")].map((node) => ({node, text: node.textContent.toLowerCase()}));
  const shown = document.getElementById("shown");
  const update = () => {
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdict = form.elements.verdict.value;
    const model = form.elements.model ? form.elements.model.value : "";
    let count = 0;
    for (const {node, text} of examples) {
      const keep = (!verdict || node.dataset.verdict === verdict) && (!model || node.dataset.model === model) &&
        words.every((word) => text.includes(word));
      node.hidden = !keep;
      count += keep;
    }
    shown.textContent = count + " of " + examples.length;
    document.getElementById("none").hidden = count > 0;
  };
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  update();
})();
