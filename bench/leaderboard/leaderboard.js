// Shows the rows that match all filters; a table without such rows is hidden.
for (const form of document.querySelectorAll("form.filters")) {
  const fields = [...form.querySelectorAll("select")];
  const front = form.elements.namedItem("front");
  const boards = [...document.querySelectorAll(".board:not(.accuracy)")];
  const update = () => {
    let shown = 0;
    let all = 0;
    for (const board of boards) {
      let here = 0;
      for (const row of board.querySelectorAll("tbody tr")) {
        const matches = fields.every((field) => !field.value || row.dataset[field.name] === field.value);
        row.hidden = !matches || (front.checked && !("front" in row.dataset));
        here += row.hidden ? 0 : 1;
        all += 1;
      }
      board.hidden = here === 0;
      shown += here;
    }
    document.getElementById("shown").textContent = shown === all ? `${all} results` : `${shown} of ${all} results`;
  };
  form.addEventListener("change", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(update)); // once the fields are empty
  form.hidden = false;
  update();
}
