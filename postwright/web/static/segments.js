// The segment builder: what a condition does not need is hidden, and the count follows. Works without this file, too.
"use strict";

const builder = document.querySelector("form[data-segment]");

function fit(condition) {
  const kind = condition.querySelector("[data-kind]").value;
  for (const field of condition.querySelectorAll("[data-for]")) {
    field.hidden = !field.dataset.for.split(" ").includes(kind);
  }
}

let waiting = 0;
let asked = 0;

async function count() {
  const mine = (asked += 1);
  const response = await fetch("/segments/count.json", { method: "POST", body: new URLSearchParams(new FormData(builder)) });
  if (!response.ok || mine !== asked) return;
  const told = await response.json();
  builder.querySelector("[data-count]").textContent = told.count;
  builder.querySelector("[data-sentence]").textContent = told.sentence;
  builder.querySelector("[data-problem]").textContent = told.problem;
}

if (builder) {
  for (const condition of builder.querySelectorAll("[data-condition]")) fit(condition);
  builder.addEventListener("input", (event) => {
    const condition = event.target.closest("[data-condition]");
    if (condition) fit(condition);
    if (event.target.name === "name") return;
    clearTimeout(waiting);
    waiting = setTimeout(() => count().catch(() => {}), 400);
  });
}
