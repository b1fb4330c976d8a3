// The page: the current step, its numbers, and the ways to another step.

const $ = id => document.getElementById(id);
const data = JSON.parse($("derivation").textContent);
const forwardCount = data.forward.length;
const stepCount = forwardCount + data.backward.length;
const backwardOf = new Map(data.backward.map((step, j) => [step.forward, forwardCount + j + 1]));  // number of the step
const contributionsTo = data.quantities.map(() => []);  // numbers of steps backward
data.backward.forEach((step, j) => step.contributions.forEach(each => contributionsTo[each.to].push(forwardCount + j + 1)));

let current = 0, graph = null, graphKey = null, timer = null, addressTimer = null;

const isBackward = number => number > forwardCount;
const forwardIndex = number => isBackward(number) ? data.backward[number - forwardCount - 1].forward : number - 1;
const href = number => `#step-${number}`;

function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter(child => child !== null));
  return element;
}

// The only markup in the data: formulas, in which the library has escaped all names.
function math(mathml, display = "inline") {
  const element = document.createElementNS("http://www.w3.org/1998/Math/MathML", "math");
  element.setAttribute("display", display);
  element.innerHTML = mathml;
  return element;
}

function equation(left, sign, right) {
  const formula = math(`${left}<mo>${sign}</mo>${right}`, "block");
  return el("div", {class: formula.textContent.length > 50 ? "formula long" : "formula"}, formula);
}
const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
const stepLink = number => el("a", {href: href(number)}, `step ${number}`);

// --- numbers ---

const asText = value => typeof value === "string" ? value : String(value).replace("-", "−");
// How the numbers of a tensor are written into cells, with the power of ten that all are multiplied with; the whole
// number is shown beside the pointer.
function cellFormat(largest, integers) {
  const exponent = Math.floor(Math.log10(largest)), power = !integers && (exponent < -1 || exponent > 4) ? exponent : 0;
  const decimals = integers ? 0 : 3 - Math.min(3, Math.max(0, exponent - power));
  const write = value => typeof value === "string" || value === 0 ? asText(value) : asText((value / 10 ** power).toFixed(decimals));
  return {power, write};
}

// One matrix of a tensor, coloured by sign and size: `largest` has the full colour.
function heatMap(tensor, name, leading, values, rows, columns, largest, write) {
  const whole = tensor.shape.slice(-2).every((size, i) => size === tensor.shown.slice(-2)[i]);
  const table = el("table", {class: columns <= 8 ? "heat" : "heat dense", tabindex: 0,
                             "aria-label": `${name}, ${rows} by ${columns}${whole ? "" : ", a corner"}. Arrows move between the numbers.`});
  for (let row = 0; row < rows; ++row) {
    const line = table.insertRow();
    for (let column = 0; column < columns; ++column) {
      const value = values[row * columns + column], cell = line.insertCell();
      const index = [...leading, row, column].slice(Math.max(0, 2 - tensor.shape.length));
      cell.tabIndex = -1;
      cell.dataset.index = tensor.shape.length ? `[${index.join(", ")}]` : "";
      cell.dataset.value = asText(value);
      cell.setAttribute("aria-label", `${cell.dataset.index} ${cell.dataset.value}`);
      if (typeof value === "string") cell.className = "infinite";
      else if (value && tensor.dtype.includes("float")) {
        cell.className = value < 0 ? "negative" : "positive";
        cell.style.setProperty("--strength", Math.sqrt(Math.abs(value) / largest).toFixed(3));
      }
      if (columns <= 8) cell.append(write(value));
    }
    if (tensor.shown.at(-1) < tensor.shape.at(-1)) line.append(el("th", {"aria-hidden": "true"}, "…"));
  }
  if (tensor.shape.length > 1 && rows < tensor.shape.at(-2))
    table.insertRow().append(el("th", {colspan: columns, "aria-hidden": "true"}, "⋮"));
  return table;
}

function tensorView(tensor, name) {
  const [rows, columns] = [1, 1, ...tensor.shown].slice(-2);
  const largest = Math.max(...tensor.values.map(value => typeof value === "string" ? 0 : Math.abs(value))) || 1;
  const {power, write} = cellFormat(largest, tensor.values.every(value => Number.isInteger(value)));
  const view = el("div", {class: "tensor"});
  const leadingSizes = tensor.shown.slice(0, -2), size = rows * columns;
  for (let slice = 0; slice * size < tensor.values.length; ++slice) {
    let rest = slice;
    const leading = leadingSizes.map((_, i) => {
      const inner = leadingSizes.slice(i + 1).reduce((product, each) => product * each, 1);
      const index = Math.floor(rest / inner);
      rest %= inner;
      return index;
    });
    const values = tensor.values.slice(slice * size, (slice + 1) * size);
    const matrix = heatMap(tensor, name, leading, values, rows, columns, largest, write);
    if (leading.length) matrix.prepend(el("caption", {}, `[${leading.join(", ")}, :, :]`));
    view.append(matrix);
  }
  if (power && columns <= 8) view.append(el("span", {class: "power"}, "× 10", el("sup", {}, asText(power))));
  return view;
}

function statisticsLine(tensor) {
  const line = el("dl", {class: "statistics"});
  const put = (term, value) => line.append(el("div", {}, el("dt", {}, term), el("dd", {}, asText(value))));
  for (const term of ["min", "max", "mean", "norm"])
    if (term in tensor.statistics) put(term, Number(tensor.statistics[term].toPrecision(4)));
  if (tensor.statistics.infinite) put("not finite", tensor.statistics.infinite);
  return line;
}

// A tensor with its name, and where it comes from.
function card(heading, tensor, name, {note = null, role = ""} = {}) {
  const all = tensor.shown.every((size, i) => size === tensor.shape[i]);
  const numbers = tensor.values.length > 1 || tensor.statistics.infinite ? statisticsLine(tensor) : null;
  return el("article", {class: `card ${role}`, "data-name": name},
            el("header", {}, el("h3", {}, heading), el("span", {class: "type"}, `${tensor.dtype} [${tensor.shape.join(", ")}]`)),
            tensorView(tensor, name),
            all ? null : el("p", {class: "part"}, `the first ${tensor.shown.join(" × ")} of ${tensor.shape.join(" × ")}`),
            numbers, note && el("p", {class: "note"}, ...note));
}

function valueCard(source, index, role = "", links = true) {
  const quantity = source.quantities[index];
  if (quantity.isNumber) return null;
  const note = links && quantity.step !== null && role !== "result" ? ["from ", stepLink(quantity.step + 1)] : null;
  return card(math(quantity.symbol), quantity.value, quantity.name, {note, role});
}

// --- a step ---

const cards = (...children) => el("div", {class: "cards"}, ...children);

function forwardCards(source, step, links = true) {
  return cards(valueCard(source, step.result, "result", links),
               ...[...new Set(step.inputs)].map(input => valueCard(source, input, "", links)));
}

const gradientName = (source, quantity) => `d${source.quantities[source.result].name}/d${quantity.name}`;

function contributionView(source, each, links = true) {
  const quantity = source.quantities[each.to], steps = contributionsTo[each.to];
  const name = gradientName(source, quantity);
  let note = null;
  if (links && each.value) {
    const others = steps.filter(number => each.first ? number > current : number < current);
    const text = each.first ? "one part; more comes from " : "added to what came from ";
    if (others.length) note = [text, ...others.flatMap((number, i) => [i ? ", " : "", stepLink(number)])];
  }
  const whole = why => card(math(quantity.gradientSymbol), quantity.gradient, name, {note: why, role: "result"});
  return el("div", {class: "contribution"},
            equation(quantity.gradientSymbol, each.first ? "=" : "+=", each.rule),
            cards(each.value ? card("this part", each.value, `part of ${name}`, {note, role: "result"}) : whole(null),
                  links && each.value && steps.at(-1) === current ? whole([`the sum of all ${steps.length} parts`]) : null));
}

function openedView(opened) {
  const count = opened.forward.length;
  const view = el("details", {class: "opened"}, el("summary", {}, `What it consists of: ${plural(count, "step")}`));
  view.addEventListener("toggle", () => {
    if (view.childElementCount > 1) return;
    const list = el("ol");
    for (const step of opened.forward)
      list.append(el("li", {}, equation(opened.quantities[step.result].symbol, "=", step.formula),
                     cards(valueCard(opened, step.result, "result", false))));
    for (const step of opened.backward)
      list.append(el("li", {class: "backward"}, ...step.contributions.map(each => contributionView(opened, each, false))));
    view.append(list);
  });
  return view;
}

function stepView(number) {
  const index = forwardIndex(number), step = data.forward[index], result = data.quantities[step.result];
  const backward = isBackward(number) ? data.backward[number - forwardCount - 1] : null;
  const view = [el("p", {class: "place"}, `Step ${number} of ${stepCount}`, step.module ? ` · ${step.module}` : ""),
                el("h2", {}, step.operation, backward ? el("small", {}, " backward") : "")];
  if (!backward) {
    view.push(equation(result.symbol, "=", step.formula), forwardCards(data, step));
  } else {
    view.push(...backward.contributions.map(each => contributionView(data, each)));
    if (backward.check)
      view.push(el("p", {class: backward.check.passed ? "check passed" : "check failed"}, backward.check.text));
    const arriving = index === forwardCount - 1 ? "where the backward pass begins" : "arrives here";
    view.push(el("h4", {}, "With these numbers"),
              cards(card(math(result.gradientSymbol), result.gradient, gradientName(data, result), {note: [arriving]}),
                    ...forwardCards(data, step).children));
  }
  if (step.opened) view.push(openedView(step.opened));
  return view;
}

// --- the program ---

// The lines that asked for steps, with the current one marked.
const sourceLines = [...new Map(data.forward.map((step, i) => [step.where, {...step, index: i}]).reverse()).values()]
  .sort((a, b) => a.where.split(":")[0].localeCompare(b.where.split(":")[0]) || a.line - b.line);

function sourceView(number) {
  const step = data.forward[forwardIndex(number)];
  const list = el("ol", {class: "listing"});
  let file = null;
  for (const line of sourceLines) {
    const name = line.where.replace(/:\d+$/, "");
    if (name !== file) list.append(el("li", {class: "file"}, name || "unknown"));
    file = name;
    const mark = line.where === step.where ? {"aria-current": "true"} : {};
    list.append(el("li", mark, el("a", {href: href(line.index + 1)}, el("span", {class: "number"}, line.line),
                                  el("code", {}, line.source || "…"))));
  }
  const same = data.forward.map((each, i) => i).filter(i => data.forward[i].where === step.where);
  const range = numbers => numbers.length > 8 ? [stepLink(numbers[0]), " to ", stepLink(numbers.at(-1))]
                           : numbers.flatMap((each, i) => [i ? ", " : "", el("a", {href: href(each)}, each)]);
  const back = same.map(i => backwardOf.get(i)).filter(Boolean).reverse();
  return [el("h2", {}, "Your program"), list,
          el("p", {class: "note"}, "The marked line asked for the steps ", ...range(same.map(i => i + 1)),
             " and, backward, ", ...(back.length ? range(back) : ["none"]), ".")];
}

// --- the graph ---

// Where a click on a node leads: to the same direction if there is such a step.
function linkOf(node) {
  const backward = isBackward(current);
  if (node.kind === "leaf") {
    const user = data.forward.findIndex(step => step.inputs.includes(node.quantity)) + 1;
    return href(backward && contributionsTo[node.quantity].at(-1) || user);
  }
  return href(backward && backwardOf.get(node.last) || node.first + 1);
}

function showGraph() {
  const index = forwardIndex(current), backward = isBackward(current);
  const holds = node => node.kind !== "leaf" && node.first <= index && index <= node.last;
  const key = `${visibleItems(data, 0, forwardCount - 1, index).map(item => item.first)}`;
  if (key !== graphKey) {
    graph = layOut(data, index);
    graphKey = key;
    $("graph").replaceChildren(drawGraph(graph, linkOf));
  }
  const received = quantity => quantity === data.result ? backward : contributionsTo[quantity].some(number => number <= current);
  for (const node of graph.nodes) {
    const quantity = node.kind === "leaf" ? node.quantity : data.forward[node.last].result;
    const {classList} = node.element;
    classList.toggle("now", holds(node));
    classList.toggle("done", backward || node.kind === "leaf" || node.last < index);
    classList.toggle("gradient", received(quantity));
    node.element.setAttribute("href", linkOf(node));
    node.element.tabIndex = holds(node) ? 0 : -1;
    if (holds(node)) node.element.setAttribute("aria-current", "step");
    else node.element.removeAttribute("aria-current");
  }
  const step = backward ? data.backward[current - forwardCount - 1] : null;
  for (const edge of graph.edges) {
    const now = holds(edge.to) && (!step || step.contributions.some(each => each.to === edge.quantity));
    const numbers = contributionsTo[edge.quantity].filter(number => {
      const i = forwardIndex(number);
      return edge.to.first <= i && i <= edge.to.last;
    });
    edge.element.classList.toggle("now", now);
    edge.element.classList.toggle("gradient", numbers.some(number => number <= current));
  }
  const place = graph.nodes.find(holds), panel = $("graph"), scale = panel.firstChild.clientWidth / graph.width;
  panel.scrollTo({left: place.x * scale - panel.clientWidth / 2, top: place.y * scale - panel.clientHeight / 2});
}

// --- going from step to step ---

function show(number) {
  number = Math.min(Math.max(1, number), stepCount);
  if (number === current) return;
  current = number;
  const backward = isBackward(number), step = data.forward[forwardIndex(number)];
  clearTimeout(addressTimer);  // browsers do not like the address to change too often
  addressTimer = setTimeout(() => history.replaceState(null, "", href(number)), 150);
  document.documentElement.dataset.direction = backward ? "backward" : "forward";
  hideTip();
  $("step").replaceChildren(...stepView(number));
  $("source").replaceChildren(...sourceView(number));
  showGraph();
  $("slider").value = number;
  $("count").textContent = `${number} / ${stepCount}`;
  $("first").disabled = $("previous").disabled = number === 1;
  $("last").disabled = $("next").disabled = number === stepCount;
  $("forward").setAttribute("aria-pressed", !backward);
  $("backward").setAttribute("aria-pressed", backward);
  $("announcement").textContent = `Step ${number} of ${stepCount}, ${document.documentElement.dataset.direction}: ` +
    `${step.operation}, ${data.quantities[step.result].name}`;
  if (number === stepCount) play(false);
}

// The same step in the other direction, or the next one that there is.
function turn(backward = !isBackward(current)) {
  if (backward === isBackward(current)) return;
  let index = forwardIndex(current);
  if (!backward) return show(index + 1);
  while (!backwardOf.has(index)) ++index;
  show(backwardOf.get(index));
}

function play(on) {
  clearInterval(timer);
  timer = on ? setInterval(() => show(current + 1), 1200) : null;
  $("play").setAttribute("aria-label", on ? "Pause" : "Play");
  document.documentElement.classList.toggle("playing", on);
}

const togglePlay = () => {
  if (!timer && current === stepCount) show(1);
  play(!timer);
};

const showAddress = address => show(Number(/#step-(\d+)$/.exec(address)?.[1] ?? 1));

const actions = {first: () => show(1), previous: () => show(current - 1), play: togglePlay, next: () => show(current + 1),
                 last: () => show(stepCount), forward: () => turn(false), backward: () => turn(true)};
for (const [id, action] of Object.entries(actions)) $(id).addEventListener("click", action);
$("slider").addEventListener("input", () => show(Number($("slider").value)));
addEventListener("hashchange", event => showAddress(event.newURL));
addEventListener("click", event => {  // at once, whatever the address is just then
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  showAddress(link.getAttribute("href"));
});

const keys = {ArrowLeft: actions.previous, ArrowRight: actions.next, Home: actions.first, End: actions.last,
              " ": togglePlay, b: () => turn()};
addEventListener("keydown", event => {
  const {target, key} = event;
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || !keys[key]) return;
  if (key === " " && target.closest("button, summary") || key !== "b" && target.closest("input")) return;
  event.preventDefault();
  keys[key]();
});

// --- the number under the pointer or the focus ---

function showTip(cell) {
  const box = cell.getBoundingClientRect(), tip = $("tip");
  tip.replaceChildren(el("span", {}, `${cell.closest(".card").dataset.name}${cell.dataset.index}`), ` = ${cell.dataset.value}`);
  tip.hidden = false;
  const right = document.documentElement.clientWidth - tip.offsetWidth - 8;
  tip.style.left = `${Math.min(Math.max(8, box.left + box.width / 2 - tip.offsetWidth / 2), right)}px`;
  tip.style.top = `${box.top > 60 ? box.top - tip.offsetHeight - 6 : box.bottom + 6}px`;
}
const hideTip = () => { $("tip").hidden = true; };

for (const event of ["pointerover", "focusin"])
  $("step").addEventListener(event, ({target}) => target.matches("td") ? showTip(target) : hideTip());
for (const event of ["pointerleave", "focusout"]) $("step").addEventListener(event, hideTip);
addEventListener("scroll", hideTip, {capture: true, passive: true});

// In a matrix the arrows go from number to number.
$("step").addEventListener("keydown", event => {
  const table = event.target.closest("table");
  const move = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[event.key];
  if (!table || !move && event.key !== "Escape") return;
  event.preventDefault();
  if (!move) return (table === event.target ? document.activeElement.blur() : table.focus());
  const cell = event.target.closest("td");
  const next = cell ? table.rows[cell.parentNode.rowIndex + move[0]]?.cells[cell.cellIndex + move[1]] : table.rows[0].cells[0];
  if (next?.matches("td")) next.focus();
});

// --- at the beginning ---

$("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
document.title = `Derivation of ${data.quantities[data.result].name}`;
$("loss").append(math(data.quantities[data.result].symbol));
$("summary").textContent = `${plural(forwardCount, "step")} forward, ${data.backward.length} backward`;
$("slider").max = stepCount;
$("slider").style.setProperty("--split", `${100 * forwardCount / stepCount}%`);
showAddress(location.hash);
