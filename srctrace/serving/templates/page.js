"use strict";
// Send a file, and show what is found of it. All that is not of this script's own making goes in as text.

const at = id => document.getElementById(id);
const LISTED = 8; // sources that are listed at first
const DENSE = 100; // segments, beyond which those that say the same are drawn as one
const form = document.querySelector("form");
let request = null; // the one under way
let sound = ""; // address of the file, for the player
let until = Infinity; // s: where the player stops

at("file").addEventListener("change", () => {
  if (at("file").files.length) trace(at("file").files[0]);
  at("file").value = ""; // so that the same file can be chosen again
});
// Anywhere on the page, lest the browser leaves it for the file.
addEventListener("dragover", event => { event.preventDefault(); form.classList.add("over"); });
addEventListener("dragleave", event => { if (!event.relatedTarget) form.classList.remove("over"); });
addEventListener("drop", event => {
  event.preventDefault();
  form.classList.remove("over");
  const files = event.dataTransfer.files;
  if (files.length > 1) fail("One file at a time: drop one.");
  else if (files.length) trace(files[0]);
});

function trace(file) {
  request?.abort();
  at("result").hidden = at("error").hidden = true;
  at("player").pause();
  if (!file.size) return fail(`${file.name}: the file is empty.`);
  if (file.size > form.dataset.bytes) {
    return fail(`${file.name}: ${(file.size / 1e6).toFixed(1)} MB, and ${form.dataset.bytes / 1e6} are the most.`);
  }
  const sent = request = new XMLHttpRequest();
  sent.open("POST", "/trace");
  sent.setRequestHeader("Content-Type", "application/octet-stream");
  sent.responseType = "json";
  sent.upload.onprogress = event => { at("progress").value = event.loaded / event.total; };
  sent.upload.onload = () => say("Tracing. If another file is being traced, this one waits.");
  sent.onload = () => sent.status === 200 ? show(file, sent.response)
    : fail(`${file.name}: ${sent.response?.error ?? `no answer (status ${sent.status})`}`);
  sent.onerror = () => fail("No answer. Was srctrace serve stopped?");
  say(`Reading ${file.name}.`);
  at("progress").hidden = false;
  at("progress").value = 0;
  sent.send(file);
}

function say(words) {
  at("status").textContent = words;
  at("progress").removeAttribute("value"); // how long it takes is not known
}

function fail(words) {
  request?.abort();
  at("status").textContent = "";
  at("progress").hidden = true;
  at("error").textContent = words;
  at("error").hidden = false;
}

function show(file, found) {
  at("progress").hidden = true;
  at("result").hidden = false;
  at("verdict").textContent = headline(found);
  at("words").textContent = inWords(found);
  at("result").classList.toggle("undecided", found.verdict === null);
  const whole = found.segments.length + found.silent;
  at("about").textContent = `${file.name}: ${clock(found.seconds)}, ${count(whole, "segment")}`
    + (found.silent ? `, of which ${found.silent} silent and left out` : "");
  URL.revokeObjectURL(sound);
  at("player").src = sound = URL.createObjectURL(file);
  at("player").hidden = false;
  at("unplayable").hidden = true;
  showRanking(found);
  showScore(found);
  showSegments(found);
  at("status").textContent = `Done. ${headline(found)}. ${at("agreement").textContent}`;
}

function headline(found) {
  if (found.verdict === null) return `No verdict. Likeliest: ${found.source}`;
  if (found.verdict === "unknown source") return "Unknown source";
  return `${found.verdict[0].toUpperCase()}${found.verdict.slice(1)}: ${found.source}`;
}

function inWords(found) {
  const likely = found.probability === null ? "" : percent(found.probability);
  if (found.verdict === null) {
    return `Whether a known source made this is not decided, and probabilities are not calibrated: there is no decision file. Of the known sources, ${found.source} is the likeliest (${likely}).`;
  }
  if (found.verdict === "unknown source") {
    return `It is too little like any known source. The nearest is ${found.source}; that it is the likeliest of the known ones (${likely}) says nothing here.`;
  }
  if (found.verdict === "enrolled source") {
    return `It is more like what was enrolled as ${found.source} (similarity ${found.similarities[found.source].toFixed(3)}) than like any other source.`;
  }
  return `If one of the known sources made it, it is ${found.source} with a probability of ${likely}.`;
}

function showRanking(found) {
  const calibrated = found.threshold !== null;
  at("calibrated").textContent = calibrated ? "Calibrated, if it is one of them" : "Not calibrated; if it is one of them";
  at("ranking").replaceChildren(...found.ranking.map(({source, probability}) => {
    const bar = make("div", {className: "bar"}, make("div"));
    bar.firstChild.style.width = `${100 * probability}%`;
    return row(make("th", {scope: "row"}, source), make("td", {}, bar), number(percent(probability)));
  }));
  const rest = [...at("ranking").children].slice(LISTED);
  for (const each of rest) each.hidden = true;
  at("more").hidden = !rest.length;
  at("more").textContent = `${rest.length} more`;
  at("more").onclick = () => {
    for (const each of rest) each.hidden = false;
    at("more").hidden = true;
  };
  const similar = Object.entries(found.similarities).sort((one, other) => other[1] - one[1]);
  at("similar").hidden = !similar.length;
  at("similarities").replaceChildren(...similar.map(([source, value]) =>
    row(make("th", {scope: "row"}, source), number(value.toFixed(3)))));
}

function showScore(found) {
  at("scored").hidden = found.score === null;
  if (found.score === null) return;
  const scores = found.segments.map(segment => segment.score);
  // The threshold is in the middle, and all scores are on the scale.
  const reach = 1.1 * Math.max(...[found.score, ...scores].map(score => Math.abs(score - found.threshold))) || 1;
  const place = score => `${50 + 50 * (score - found.threshold) / reach}%`;
  at("mark").style.left = place(found.score);
  at("ticks").replaceChildren(...scores.map(score => {
    const tick = make("i");
    tick.style.left = place(score);
    return tick;
  }));
  const side = found.score >= found.threshold ? "at or above" : "below";
  at("score").textContent = `Score ${found.score.toFixed(3)}, ${side} the threshold of ${found.threshold.toFixed(3)}: `
    + (side === "below" ? "unlike what the models were trained on." : "like what the models were trained on.")
    + (scores.length > 1 ? " Strokes are segments." : "");
}

function showSegments(found) {
  const runs = runsOf(found.segments);
  let end = 0; // the last segment may begin within the one before
  at("strip").replaceChildren(...(found.segments.length > DENSE ? runs : found.segments).map(segment => {
    const start = Math.max(segment.start, end);
    end = segment.end;
    const part = make("i", {className: segment.differs ? "differs" : "agrees", title: `${span(segment)}: ${told(segment)}`});
    part.style.left = `${100 * start / found.seconds}%`;
    part.style.width = `${100 * (segment.end - start) / found.seconds}%`;
    part.onclick = () => play(start, segment.end);
    return part;
  }), make("i", {className: "now", id: "now"}));
  at("end").textContent = clock(found.seconds);

  const differing = found.segments.filter(segment => segment.differs);
  at("agreement").textContent = found.segments.length === 1 ? "It is one segment."
    : differing.length ? `${differing.length} of ${count(found.segments.length, "segment")} ${differing.length > 1 ? "differ" : "differs"} from the file as a whole.`
    : `All ${found.segments.length} segments say the same.`;
  at("differing").hidden = !differing.length;
  at("differing").querySelector("tbody").replaceChildren(...runs.filter(run => run.differs).map(run => segmentRow(run, false)));
  at("every").open = false;
  at("every").hidden = found.segments.length === 1;
  at("every").querySelector("summary").textContent = `All ${found.segments.length} segments`;
  at("every").querySelector("tbody").replaceChildren(...found.segments.map(segment => segmentRow(segment, true)));
}

// Segments that follow one another and say the same, as one with their mean probability.
function runsOf(segments) {
  const runs = [];
  for (const segment of segments) {
    const before = runs.at(-1)?.at(-1);
    const same = before && segment.start <= before.end && before.verdict === segment.verdict && before.source === segment.source;
    if (same) runs.at(-1).push(segment);
    else runs.push([segment]);
  }
  return runs.map(run => ({
    ...run[0],
    end: run.at(-1).end,
    probability: run[0].probability === null ? null : run.reduce((sum, one) => sum + one.probability, 0) / run.length,
  }));
}

function segmentRow(segment, whole) {
  const button = make("button", {type: "button", className: "play", ariaLabel: `Play ${span(segment)}`}, span(segment));
  button.onclick = () => play(segment.start, segment.end);
  const source = make("td", {}, named(segment));
  if (whole && segment.differs) source.append(" ", make("span", {className: "level warning"}, "differs"));
  return row(
    make("td", {}, button),
    make("td", {className: "decided"}, segment.verdict?.replace(" source", "") ?? ""),
    source,
    number(segment.probability === null ? "" : percent(segment.probability)),
    ...(whole ? [make("td", {className: "n decided"}, segment.score?.toFixed(3) ?? "")] : []),
  );
}

function play(start, end) {
  until = end;
  at("player").currentTime = start;
  at("player").play().catch(() => {}); // what cannot be played is said by the player's error
}
at("player").addEventListener("timeupdate", () => {
  const {currentTime, duration} = at("player");
  if (at("now")) at("now").style.left = `${100 * currentTime / duration}%`;
  if (currentTime >= until) {
    at("player").pause();
    until = Infinity;
  }
});
at("player").addEventListener("error", () => {
  at("player").hidden = true;
  at("unplayable").hidden = false;
});

const named = found => found.verdict === "unknown source" ? `(${found.source})` : found.source;
const told = found => `${found.verdict ? `${found.verdict}, ` : ""}${named(found)}`;
const span = ({start, end}) => `${clock(start)} to ${clock(end)}`;
const percent = value => `${(100 * value).toFixed(1)}\u00a0%`;
const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
const row = (...cells) => make("tr", {}, ...cells);
const number = text => make("td", {className: "n"}, text);

function clock(seconds) {
  const tenths = Math.round(10 * seconds);
  return `${Math.floor(tenths / 600)}:${(tenths % 600 / 10).toFixed(1).padStart(4, "0")}`;
}

function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}
