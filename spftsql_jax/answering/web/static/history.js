// Questions asked in this browser, of this database, newest first.
import {byId, element} from "./dom.js";

const MOST = 50;
const key = `spftsql history ${document.querySelector("main").dataset.database}`;

function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(key));
    return Array.isArray(kept) ? kept.filter((each) => typeof each === "string") : [];
  } catch {
    return [];  // Storage that is switched off, or not of ours.
  }
}

function keep(questions) {
  try {
    localStorage.setItem(key, JSON.stringify(questions));
  } catch { /* Storage that is full or switched off: the history is short. */ }
}

export function remember(question, onChosen) {
  keep([question, ...read().filter((each) => each !== question)].slice(0, MOST));
  showHistory(onChosen);
}

export function showHistory(onChosen) {
  const questions = read();
  byId("history").replaceChildren(...questions.map((question) => {
    const button = element("button", {type: "button"}, question);
    button.addEventListener("click", () => onChosen(question));
    return element("li", {}, button);
  }));
  byId("none").hidden = questions.length > 0;
  byId("forget").hidden = questions.length === 0;
  byId("forget").onclick = () => { keep([]); showHistory(onChosen); };
}
